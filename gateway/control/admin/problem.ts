/** Problem documents (RFC 9457): what every refusal of the admin API looks like. */
import * as v from "valibot";
import { PenstockError } from "#core/errors.ts";
import { controlError } from "#core/errors/control.ts";
import type { Logger } from "#control/logger.ts";

const FindingSchema = v.object({
  /** JSON pointer into what was submitted. */
  pointer: v.string(),
  code: v.string(),
  detail: v.string(),
  /** `file:line:column` or `line:column`, where the text was submitted. */
  at: v.optional(v.string()),
});

export const ProblemSchema = v.object({
  type: v.string(),
  title: v.string(),
  status: v.number(),
  code: v.string(),
  detail: v.string(),
  hint: v.string(),
  errors: v.array(FindingSchema),
});

export type Problem = v.InferOutput<typeof ProblemSchema>;

/** Stable, and resolvable to the reference of codes. */
function typeOf(code: string): string {
  return `urn:penstock:error:${code.toLowerCase().replaceAll("_", "-")}`;
}

export function problemOf(error: PenstockError): Problem {
  const [title = error.message] = error.message.split(": ", 1);
  return {
    type: typeOf(error.code),
    title,
    status: error.status,
    code: error.code,
    detail: error.message,
    hint: error.hint,
    errors: error.errors.map((one) => ({ ...one })),
  };
}

/** What isn't one of ours is our bug: the log gets the stack, the client the fact. */
export function problemResponse(error: unknown, log: Logger, headers: Readonly<Record<string, string>> = {}): Response {
  let known: PenstockError;
  if (error instanceof PenstockError) {
    known = error;
  } else {
    log.error(
      { error: error instanceof Error ? (error.stack ?? error.message) : String(error) },
      "a request met a bug",
    );
    known = controlError("PENSTOCK_CONTROL_INTERNAL");
  }
  if (known.status >= 500) log.error({ code: known.code, error: known.message }, "a request failed");
  return new Response(JSON.stringify(problemOf(known)), {
    status: known.status,
    headers: { "content-type": "application/problem+json", "cache-control": "no-store", ...headers },
  });
}
