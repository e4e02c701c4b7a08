/**
 * How a careless HTTP/1.1 server reads a request: any line end will do, folded lines are joined, white space is trimmed
 * wherever it is, numbers are whatever parseInt makes of them. It stands for the worst upstream. What the gateway
 * accepts must mean the same to it, or the two can be made to see different requests.
 */

export interface Reading {
  method: string;
  target: string;
  fields: [string, string][];
  /** Bytes of the head. */
  headBytes: number;
  framing: "none" | "chunked" | number;
}

/** Always finds some reading, as such servers do; undefined only when the head has no end. */
export function readLeniently(text: string): Reading | undefined {
  const skipped = /^[\r\n]*/.exec(text)?.[0].length ?? 0;
  const ending = /\r?\n\r?\n/.exec(text.slice(skipped));
  if (ending === null) return undefined;
  const headEnd = skipped + ending.index + ending[0].length;
  const [line = "", ...rest] = text.slice(skipped, headEnd).split(/\r\n|\n|\r/);
  const [method = "", target = ""] = trim(line).split(/\s+/);
  const fields: [string, string][] = [];
  for (const fieldLine of rest) {
    const last = fields.at(-1);
    if (/^[ \t]/.test(fieldLine) && last !== undefined) {
      last[1] = trim(`${last[1]} ${trim(fieldLine)}`);
      continue;
    }
    if (fieldLine === "") continue;
    const colon = fieldLine.indexOf(":");
    const name = colon < 0 ? fieldLine : fieldLine.slice(0, colon);
    fields.push([trim(name).toLowerCase(), colon < 0 ? "" : trim(fieldLine.slice(colon + 1))]);
  }
  return { method, target, fields, headBytes: headEnd, framing: framingOf(fields) };
}

/** ASCII white space, as C's isspace has it. The engine's own trim would take U+00A0 too, which is data in a field. */
function trim(text: string): string {
  return text.replaceAll(/^[\t\n\v\f\r ]+|[\t\n\v\f\r ]+$/g, "");
}

function framingOf(fields: [string, string][]): Reading["framing"] {
  const named = (wanted: string): string[] =>
    // Some servers hand fields to programs under names where hyphen and underscore are one, and stop at a NUL.
    fields.filter(([name]) => name.split("\0")[0]?.replaceAll("_", "-") === wanted).map(([, value]) => value);
  if (named("transfer-encoding").some((value) => value.toLowerCase().includes("chunked"))) return "chunked";
  const length = named("content-length").at(-1);
  return length === undefined ? "none" : Number.parseInt(length, 10);
}

/** The data of a chunked body and what is left over; undefined when it has no end. */
export function dechunkLeniently(text: string): { data: string; rest: string } | undefined {
  let data = "";
  let at = 0;
  for (;;) {
    const lineEnd = text.indexOf("\n", at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    at = lineEnd + 1;
    if (!(size > 0)) break;
    if (at + size > text.length) return undefined;
    data += text.slice(at, at + size);
    at += size;
    at += /^\r?\n/.exec(text.slice(at))?.[0].length ?? 0;
  }
  for (;;) {
    const lineEnd = text.indexOf("\n", at);
    if (lineEnd < 0) return undefined;
    const line = text.slice(at, lineEnd).replace(/\r$/, "");
    at = lineEnd + 1;
    if (line === "") return { data, rest: text.slice(at) };
  }
}
