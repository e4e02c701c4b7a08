/** Bodies of requests, bounded while they arrive: no more than the bound is ever kept. */
import type { Finding } from "#core/errors.ts";
import { configError } from "#core/errors/config.ts";
import { controlError } from "#core/errors/control.ts";
import { refusal } from "#control/config/check.ts";
import { MERGE_PATCH } from "./merge-patch.ts";
import { readSources, type Sources } from "#control/config/sources.ts";

/** A declaration of 100 000 routes is about 20 MB. */
export const DECLARATION_BYTES_MAX = 32 * 2 ** 20;
export const RESOURCE_BYTES_MAX = 2 ** 20;

/**
 * What is beyond the bound is read and dropped, so that a client which writes before it reads gets its answer; beyond
 * this it is cut off instead.
 */
const DISCARDED_BYTES_MAX = 64 * 2 ** 20;

export async function readBytes(request: Request, bytesMax: number): Promise<Uint8Array> {
  const tooLarge = () => controlError("PENSTOCK_CONTROL_TOO_LARGE", { detail: `at most ${bytesMax} bytes` });
  if (request.body === null) return new Uint8Array(0);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body) {
    bytes += chunk.byteLength;
    if (bytes <= bytesMax) chunks.push(chunk);
    else if (bytes > bytesMax + DISCARDED_BYTES_MAX) throw tooLarge();
    else chunks.length = 0;
  }
  if (bytes > bytesMax) throw tooLarge();
  return Buffer.concat(chunks, bytes);
}

export async function readJson(request: Request, bytesMax: number): Promise<unknown> {
  return parseJson(await readText(request, "application/json", bytesMax));
}

export async function readText(request: Request, type: string, bytesMax: number): Promise<string> {
  requireType(request, [type]);
  return utf8(await readBytes(request, bytesMax));
}

/** A list or a bare value replaces the whole, which no resource of ours can be: what comes of it is refused by its schema. */
export async function readMergePatch(request: Request, bytesMax: number): Promise<unknown> {
  requireType(request, [MERGE_PATCH]);
  return parseJson(utf8(await readBytes(request, bytesMax)));
}

export async function readModule(request: Request, bytesMax: number): Promise<Uint8Array> {
  requireType(request, ["application/wasm"]);
  return readBytes(request, bytesMax);
}

/** A whole declaration, as JSON or as YAML; findings about YAML can be located by line and column. */
export async function readDeclaration(request: Request): Promise<{ data: unknown; locate(finding: Finding): Finding }> {
  const type = requireType(request, ["application/json", "application/yaml"]);
  const text = utf8(await readBytes(request, DECLARATION_BYTES_MAX));
  if (type === "application/json") return { data: parseJson(text), locate: (finding) => finding };
  const sources: Sources = readSources([{ file: "body", text }]);
  if (sources.findings.length > 0) throw refusal(sources.findings);
  return { data: sources.data, locate: (finding) => sources.locate(finding) };
}

/** The media type without parameters. */
function requireType(request: Request, accepted: readonly string[]): string {
  const given = (request.headers.get("content-type") ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
  if (!accepted.includes(given)) {
    const detail = `${given === "" ? "no Content-Type" : `"${given}"`}; this takes ${accepted.join(" or ")}`;
    throw controlError("PENSTOCK_CONTROL_MEDIA_TYPE", { detail });
  }
  return given;
}

function utf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw controlError("PENSTOCK_CONTROL_BAD_REQUEST", { detail: "the body is not UTF-8" });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw configError("PENSTOCK_CONFIG_SYNTAX", {
      detail,
      errors: [{ pointer: "", code: "PENSTOCK_CONFIG_SYNTAX", detail }],
    });
  }
}
