/** Refusals on a terminal: code, place, what is wrong, the line it is in, and what to do. */
import { PenstockError, type Finding } from "#core/errors.ts";
import type { ExitCode, Output } from "./verb.ts";

/** Texts of files by the name that findings use, where they are at hand. */
export type Texts = ReadonlyMap<string, string>;

export function printFailure(error: unknown, out: Output, texts: Texts = new Map()): ExitCode {
  if (!(error instanceof PenstockError)) throw error;
  const { code, message, hint, pointer, errors } = error;
  if (out.json) {
    out.print(JSON.stringify({ error: { code, message, hint, pointer, errors } }));
    return 1;
  }
  for (const finding of errors.toSorted(byPlace)) {
    const { at, pointer: place, code: own, detail } = finding;
    const where = [at, place === "" ? undefined : place].filter((part) => part !== undefined).join(" ");
    out.note(`${where === "" ? "" : `${where}: `}${detail} (${own})`);
    for (const shown of excerpt(at, texts)) out.note(shown);
  }
  out.note(`penstock: ${message} (${code})`);
  out.note(`  ${hint}`);
  return 1;
}

/** In the order of the file; those without place last. */
function byPlace(a: Finding, b: Finding): number {
  const [one, other] = [parsePlace(a.at), parsePlace(b.at)];
  if (one === undefined || other === undefined) return Number(one === undefined) - Number(other === undefined);
  if (one.file !== other.file) return one.file < other.file ? -1 : 1;
  return one.line - other.line || one.column - other.column;
}

function parsePlace(at: string | undefined): { file: string; line: number; column: number } | undefined {
  const match = /^(.*):(\d+):(\d+)$/.exec(at ?? "");
  return match === null ? undefined : { file: match[1] ?? "", line: Number(match[2]), column: Number(match[3]) };
}

/**
 *      3 |     adress: 127.0.0.1:80
 *        |     ^
 */
function excerpt(at: string | undefined, texts: Texts): string[] {
  const place = parsePlace(at);
  const text = place === undefined ? undefined : texts.get(place.file);
  if (place === undefined || text === undefined) return [];
  const source = (text.split("\n")[place.line - 1] ?? "").replace(/\r$/, "");
  const number = String(place.line).padStart(6);
  // Tabs stay tabs, so that the mark stands below what it points at.
  const indent = source.slice(0, place.column - 1).replaceAll(/[^\t]/g, " ");
  return [`${number} | ${source}`, `${" ".repeat(number.length)} | ${indent}^`];
}
