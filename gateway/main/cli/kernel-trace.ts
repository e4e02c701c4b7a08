/** `penstock kernel trace`: what happens to the connections of traced listeners, as it happens. */
import { setTimeout as sleep } from "node:timers/promises";
import type { KernelEvent } from "#control/protocol.ts";
import { positionals, textOption } from "./arguments.ts";
import type { Client } from "./client.ts";
import { UsageError, type ExitCode, type Output, type ParsedArgs } from "./verb.ts";

export const TRACE_OPTIONS = {
  count: { type: "string" },
  kind: { type: "string" },
} as const;

const ASK_MS = 300;

/** Until it is interrupted, or `--count` events have been told. */
export async function trace(args: ParsedArgs, client: Client, out: Output): Promise<ExitCode> {
  positionals(args, "trace");
  const [listener, kind] = [textOption(args, "listener"), textOption(args, "kind")];
  let left = whole(textOption(args, "count"));
  let after: string | undefined;
  if (out.interactive && !out.json) out.note("following; Ctrl-C ends it");
  while (left > 0) {
    const { body } = await client.get("/v1/kernel/trace/events", { after });
    const { events, next } = body as { readonly events: readonly KernelEvent[]; readonly next: number };
    for (const event of events) {
      if (left <= 0 || (listener ?? event.listener) !== event.listener || (kind ?? event.kind) !== event.kind) continue;
      out.print(out.json ? JSON.stringify(event) : line(event));
      left--;
    }
    after = String(next);
    if (left > 0) await sleep(ASK_MS);
  }
  return 0;
}

function line({ timeMs, listener, kind, local, remote, from, to, us }: KernelEvent): string {
  const time = new Date(timeMs).toISOString().slice(11, 23);
  const what = kind === "state" ? `${from} -> ${to}` : kind;
  const measured = us === undefined ? "" : `  ${kind === "slow-response" ? "took" : "round trip"} ${duration(us)}`;
  return `${time}  ${listener}  ${remote} -> ${local}  ${what}${measured}`;
}

function duration(us: number): string {
  if (us < 1000) return `${us} µs`;
  return us < 1_000_000 ? `${(us / 1000).toFixed(1)} ms` : `${(us / 1_000_000).toFixed(2)} s`;
}

function whole(text: string | undefined): number {
  if (text === undefined) return Number.POSITIVE_INFINITY;
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`--count ${text} is no whole number`);
  return Number(text);
}
