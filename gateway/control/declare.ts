/**
 * A declaration that comes with the process instead of through the API: `run -f FILE`, or the embedded default. Its
 * files came along; it becomes a revision when it says anything else than the current one.
 */
import { PenstockError, type Finding } from "#core/errors.ts";
import { refusal } from "./config/check.ts";
import { withTlsFiles } from "./config/tls-files.ts";
import { withFilterFiles } from "./config/filter-files.ts";
import { refuseWithRest, withDigests } from "./config/module-files.ts";
import { readSources, type Sources } from "./config/sources.ts";
import type { Changes } from "./changes.ts";
import { variableKey, type DeclaredReply, type DeclareRequest } from "./protocol.ts";
import type { Uploads } from "./uploads.ts";

export async function declare(request: DeclareRequest, changes: Changes, uploads: Uploads): Promise<DeclaredReply> {
  const sources = readSources(request.sources, {
    resolve: (reference, file) => request.variables?.[variableKey(file, reference)],
  });
  const { id } = request;
  try {
    if (sources.findings.length > 0) throw refusal(sources.findings);
    const files = new Map(request.modules.map(({ file, bytes }) => [file, bytes]));
    const filled = withFilterFiles(sources.data, (file) => files.get(file));
    const encrypted = withTlsFiles(filled.declaration, (file) => files.get(file));
    const { declaration, findings: others } = await withDigests(encrypted.declaration, async (file, pointer) => {
      const bytes = files.get(file);
      if (bytes === undefined) {
        throw refusal([
          {
            pointer,
            code: "PENSTOCK_CONFIG_READ",
            detail: `"${file}" can't be read; \`penstock plugin build\` makes it`,
          },
        ]);
      }
      const upload = async () => (await uploads.accept(bytes, true, request.author)).digest;
      return uploadedDigest(upload, file, pointer);
    });
    const findings = [...filled.findings, ...encrypted.findings, ...others];
    const change = {
      author: request.author,
      who: request.author,
      message: request.sources.map(({ file }) => file).join(", "),
      actor: undefined,
      edit: () => ({ declaration }),
    };
    if (findings.length > 0) await refuseWithRest(findings, () => changes.change({ ...change, dryRun: true }));
    const result = await changes.change(change);
    return { type: "declared", id, ok: true, revision: result.revision, changed: result.state === "applied" };
  } catch (error) {
    return refusedReply(id, changes.current().revision, error, sources);
  }
}

/** A refused module is a finding at the place that names it. */
async function uploadedDigest(upload: () => Promise<string>, file: string, pointer: string): Promise<string> {
  try {
    return await upload();
  } catch (error) {
    if (!(error instanceof PenstockError) || error.errors.length === 0) throw error;
    throw refusal(error.errors.map((one) => ({ pointer, code: one.code, detail: `${file}: ${one.detail}` })));
  }
}

function refusedReply(id: number, revision: number, error: unknown, sources: Sources): DeclaredReply {
  const reply = { type: "declared", id, ok: false, revision, changed: false } as const;
  if (!(error instanceof PenstockError))
    return { ...reply, error: error instanceof Error ? error.message : String(error) };
  const findings: Finding[] = error.errors.map((one) => sources.locate(one));
  return { ...reply, error: error.message, code: error.code, findings };
}
