/** What `apply` and `diff` share: the files, their modules uploaded, the declaration sent. */
import type { Difference } from "#control/diff.ts";
import type { Declaration } from "#control/config/declaration.ts";
import { refusal } from "#control/config/check.ts";
import { withTlsFiles } from "#control/config/tls-files.ts";
import { withFilterFiles } from "#control/config/filter-files.ts";
import { refuseWithRest, withDigests } from "#control/config/module-files.ts";
import { sha256Hex } from "#control/canonical.ts";
import { PenstockError } from "#core/errors.ts";
import type { Client } from "./client.ts";
import type { DeclarationFiles } from "./declaration-files.ts";
import type { Output } from "./verb.ts";

export interface Submitted {
  readonly revision: number;
  readonly state: "applied" | "pending" | "unchanged" | "dry-run";
  readonly diff: readonly Difference[];
  readonly notes: readonly string[];
}

export interface SubmitOptions {
  readonly dryRun: boolean;
  readonly wait: boolean;
  readonly message: string;
}

/** Throws what is wrong, located in the files. */
export async function submit(
  files: DeclarationFiles,
  client: Client,
  options: SubmitOptions,
  out: Pick<Output, "progress">,
): Promise<Submitted> {
  const { sources } = files;
  if (sources.findings.length > 0) throw refusal(sources.findings);
  try {
    const filled = withFilterFiles(sources.data, (file, pointer) => files.moduleAt(pointer, file));
    const encrypted = withTlsFiles(filled.declaration, (file, pointer) => files.moduleAt(pointer, file));
    const { declaration, findings: others } = await withDigests(encrypted.declaration, (file, pointer) => {
      out.progress(`${file}: looking whether the gateway has it`);
      return uploaded(files, file, pointer, client, options.dryRun);
    });
    const findings = [...filled.findings, ...encrypted.findings, ...others];
    if (findings.length > 0)
      await refuseWithRest(findings, () => put(declaration, client, { ...options, dryRun: true }));
    out.progress(options.dryRun ? "comparing" : "waiting until every worker runs it");
    return await put(declaration, client, options);
  } catch (error) {
    throw located(error, files);
  }
}

async function put(
  declaration: Declaration,
  client: Client,
  { dryRun, wait, message }: SubmitOptions,
): Promise<Submitted> {
  const { etag } = await client.get("/v1/config");
  const { body } = await client.send("PUT", "/v1/config", {
    query: { ...(dryRun ? { dryRun: "true" } : {}), ...(wait ? {} : { wait: "false" }) },
    headers: { "if-match": etag, "penstock-message": encodeURIComponent(message) },
    json: declaration,
  });
  return body as Submitted;
}

/** The digest of a plugin's file, which the gateway then has; a dry run only has it validated. */
async function uploaded(
  files: DeclarationFiles,
  file: string,
  pointer: string,
  client: Client,
  dryRun: boolean,
): Promise<string> {
  const module = files.moduleAt(pointer, file);
  if (module === undefined) {
    throw refusal([
      { pointer, code: "PENSTOCK_CONFIG_READ", detail: `"${file}" can't be read; \`penstock plugin build\` makes it` },
    ]);
  }
  const digest = sha256Hex(module);
  const path = `/v1/modules/${digest}`;
  try {
    if ((await client.find(path)) === undefined)
      await client.send("PUT", path, { module, query: dryRun ? { dryRun: "true" } : {} });
    return digest;
  } catch (error) {
    if (!(error instanceof PenstockError) || error.code !== "PENSTOCK_CONTROL_MODULE") throw error;
    throw refusal(error.errors.map(({ code, detail }) => ({ pointer, code, detail: `${file}: ${detail}` })));
  }
}

function located(error: unknown, { sources }: DeclarationFiles): unknown {
  if (!(error instanceof PenstockError) || error.errors.length === 0) return error;
  const spec = { message: error.message, status: error.status, hint: error.hint };
  return new PenstockError(error.code, spec, { errors: error.errors.map((one) => sources.locate(one)) });
}

/** One line a resource, one a changed field. */
export function diffLines(differences: readonly Difference[]): string[] {
  const marks = { add: "+", remove: "-", change: "~" } as const;
  const lines: string[] = [];
  for (const { op, kind, name, fields } of differences) {
    lines.push(`${marks[op]} ${kind}${name === "" ? "" : ` ${name}`}`);
    for (const { pointer, before, after } of fields) lines.push(`    ${pointer}: ${shown(before)} → ${shown(after)}`);
  }
  return lines;
}

function shown(value: unknown): string {
  return value === undefined ? "(none)" : JSON.stringify(value);
}
