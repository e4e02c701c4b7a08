/**
 * Declarations as files: YAML in, plain data out, and back from a JSON pointer to file, line and column, so that a
 * finding can say where it is and show the line. Several files (of a folder) make one declaration: their lists are
 * joined, their other fields must not collide. A file may include others; who reads files from a disk follows them.
 */
import { isMap, isPair, isScalar, isSeq, LineCounter, parseDocument, type Document, type YAMLError } from "yaml";
import type { Finding } from "#core/errors.ts";
import { isRecord } from "./fields.ts";
import { placeIn, readLargeFile, sectionOf } from "./large-files.ts";
import { pointerSteps } from "./pointer.ts";
import { expand } from "./variables.ts";

export interface SourceFile {
  /** As it is shown: relative to where the user stands. */
  readonly file: string;
  readonly text: string;
}

export interface Sources {
  /** The joined data. What it may be is for the schema to say. */
  readonly data: unknown;
  /** Errors of syntax; `data` is of no use when there are any. */
  readonly findings: readonly Finding[];
  /** The finding with its place, `file:line:column`, when the pointer can be found. */
  locate(finding: Finding): Finding;
  /** The file that holds the value at a pointer. */
  fileOf(pointer: string): string | undefined;
}

export interface SourceOptions {
  /** For files of a disk: what references in them stand for. Absent: they are text like any other. */
  readonly resolve?: (reference: string, file: string) => string | undefined;
}

/** What one file includes, as written: paths and patterns, relative to it. */
export interface Inclusion {
  readonly pattern: string;
  readonly at: string;
}

interface Parsed {
  readonly file: string;
  readonly data: unknown;
  readonly findings: readonly Finding[];
  /** `file:line:column` of what the steps lead to; what is missing is shown where it should be. */
  placeOf(steps: readonly string[]): string | undefined;
}

/** The files that a file includes. What is no list of texts is a finding when the file is read. */
export function inclusionsOf(source: SourceFile): Inclusion[] {
  if (!source.text.includes("include")) return [];
  const parsed = parseOne(source, {});
  const list = isRecord(parsed.data) ? parsed.data["include"] : undefined;
  if (!Array.isArray(list)) return [];
  return list.flatMap((pattern: unknown, index) =>
    typeof pattern === "string" ? [{ pattern, at: parsed.placeOf(["include", String(index)]) ?? source.file }] : [],
  );
}

export function readSources(files: readonly SourceFile[], options: SourceOptions = {}): Sources {
  const parsed = files.map((file) => parseOne(file, options));
  const origins = new Map<string, { parsed: Parsed; local: string[] }>();
  const findings = parsed.flatMap((one) => [...one.findings]);
  const data = findings.length === 0 ? join(parsed, origins, findings) : undefined;
  const find = (pointer: string) => origin(pointer, origins, parsed);
  return {
    data,
    findings,
    locate: (finding) => {
      if (finding.at !== undefined) return finding;
      const found = find(finding.pointer);
      const at = found === undefined ? undefined : found.parsed.placeOf(found.local);
      return at === undefined ? finding : { ...finding, at };
    },
    fileOf: (pointer) => find(pointer)?.parsed.file,
  };
}

function parseOne(source: SourceFile, options: SourceOptions): Parsed {
  const parsed = parseLarge(source, options) ?? parseWhole(source, options);
  const { data } = parsed;
  if (options.resolve === undefined || !isRecord(data) || !("include" in data)) return parsed;
  const { include, ...rest } = data;
  const findings = [...parsed.findings];
  if (!Array.isArray(include) || include.some((one) => typeof one !== "string")) {
    const at = `${source.file}:1:1`;
    findings.push({ pointer: "/include", code: "PENSTOCK_CONFIG_TYPE", detail: "expected a list of files", at });
  }
  return { ...parsed, data: rest, findings };
}

/** Null: it is not, or references in it are to be put in. */
function parseLarge({ file, text }: SourceFile, { resolve }: SourceOptions): Parsed | null {
  const read = resolve !== undefined && text.includes("${") ? null : readLargeFile(text);
  if (read === null) return null;
  const findings: Finding[] = [];
  if (!read.ok) {
    const at = `${file}:${placeIn(text, read.offset)}`;
    findings.push({ pointer: "", code: "PENSTOCK_CONFIG_SYNTAX", detail: read.why, at });
  }
  return {
    file,
    data: read.ok ? read.data : undefined,
    findings,
    placeOf: (steps) => {
      const section = sectionOf(text, steps);
      if (section === undefined) return undefined;
      const { document } = documentOf(section.text);
      return `${file}:${placeIn(text, section.offset + offsetOf(document, section.steps))}`;
    },
  };
}

function documentOf(text: string): { document: Document.Parsed; lines: LineCounter } {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    version: "1.2",
    schema: "core",
    uniqueKeys: true,
    stringKeys: true,
    prettyErrors: false,
  });
  return { document, lines };
}

function parseWhole({ file, text }: SourceFile, { resolve }: SourceOptions): Parsed {
  const { document, lines } = documentOf(text);
  const findings = [...document.errors, ...document.warnings].map((error) => syntaxFinding(error, file, lines));
  if (findings.length === 0 && resolve !== undefined) {
    const missing = expand(document, (reference) => resolve(reference, file));
    findings.push(
      ...missing.map(({ reference, offset }) => unresolvedFinding(reference, placeAt(file, lines, offset))),
    );
  }
  let data: unknown;
  if (findings.length === 0) {
    try {
      // An alias may stand for much text: the parser's own bound on expansion stays on (100).
      data = document.toJS({ maxAliasCount: 100 });
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      findings.push({ pointer: "", code: "PENSTOCK_CONFIG_SYNTAX", detail, at: `${file}:1:1` });
    }
  }
  const placeOf = (steps: readonly string[]): string | undefined => {
    const { line, col } = lines.linePos(offsetOf(document, steps));
    return line === 0 ? undefined : `${file}:${line}:${col}`;
  };
  return { file, data, findings, placeOf };
}

function unresolvedFinding(reference: string, at: string): Finding {
  const detail = reference.startsWith("file:")
    ? `\${${reference}}: the file can't be read`
    : `\${${reference}} is not in the environment; \${${reference}:-otherwise} has something in its place`;
  return { pointer: "", code: "PENSTOCK_CONFIG_READ", detail, at };
}

function placeAt(file: string, lines: LineCounter, offset: number): string {
  const { line, col } = lines.linePos(offset);
  return `${file}:${line}:${col}`;
}

/** What to do about the parser's complaint, by its code. */
const MENDS: Readonly<Record<string, string>> = {
  ALIAS_PROPS: "an alias stands alone",
  BAD_ALIAS: "define the anchor (&name) before it, or put the * in quotes",
  BAD_DIRECTIVE: "lines that start with % are directives; put the text in quotes",
  BAD_DQ_ESCAPE: "write a backslash twice in double quotes, or use single quotes",
  BAD_INDENT: "indent entries of the same level alike, and close every bracket",
  BAD_SCALAR_START: "put the text in quotes",
  BLOCK_AS_IMPLICIT_KEY: "start the nested entries on their own line, indented",
  BLOCK_IN_FLOW: "inside { } and [ ], use only { } and [ ]",
  DUPLICATE_KEY: "keep one of the two keys",
  MISSING_CHAR: "close the bracket or the quote, or add the missing comma or colon",
  MULTILINE_IMPLICIT_KEY: "write the key on one line, followed by a colon",
  MULTIPLE_DOCS: "one document a file: remove the `---`",
  NON_STRING_KEY: "a key is a word, or text in quotes",
  TAB_AS_INDENT: "indent with spaces",
  UNEXPECTED_TOKEN: "remove it, or put the text in quotes",
};

function syntaxFinding(error: YAMLError, file: string, lines: LineCounter): Finding {
  const { line, col } = lines.linePos(error.pos[0]);
  const mend = MENDS[error.code];
  const words = error.message.split("\n", 1)[0] ?? error.message;
  const detail = mend === undefined ? words : `${words}; to mend it: ${mend}`;
  return { pointer: "", code: "PENSTOCK_CONFIG_SYNTAX", detail, at: `${file}:${line}:${col}` };
}

function join(
  parsed: readonly Parsed[],
  origins: Map<string, { parsed: Parsed; local: string[] }>,
  findings: Finding[],
): unknown {
  const only = parsed.length === 1 ? parsed[0] : undefined;
  // An empty file declares nothing, which is a declaration.
  if (only !== undefined) return only.data ?? {};
  const joined = nameless();
  for (const one of parsed) {
    const data = one.data ?? {};
    if (isRecord(data)) joinRecord(joined, data, "", [], one, origins, findings);
    else
      findings.push({
        pointer: "",
        code: "PENSTOCK_CONFIG_TYPE",
        detail: "expected a declaration with fields",
        at: `${one.file}:1:1`,
      });
  }
  return joined;
}

/** Without a prototype, so that `__proto__` is a name like others: one that no schema knows. */
function nameless(): Record<string, unknown> {
  return Object.create(null) as Record<string, unknown>;
}

function joinRecord(
  into: Record<string, unknown>,
  from: Readonly<Record<string, unknown>>,
  pointer: string,
  path: readonly string[],
  parsed: Parsed,
  origins: Map<string, { parsed: Parsed; local: string[] }>,
  findings: Finding[],
): void {
  for (const [key, value] of Object.entries(from)) {
    const place = `${pointer}/${key}`;
    const local = [...path, key];
    const present = into[key];
    if (Array.isArray(value) && (present === undefined || Array.isArray(present))) {
      const list: unknown[] = Array.isArray(present) ? present : [];
      for (const [index, element] of value.entries()) {
        origins.set(`${place}/${list.length}`, { parsed, local: [...local, String(index)] });
        list.push(element);
      }
      into[key] = list;
    } else if (isRecord(value) && (present === undefined || isRecord(present))) {
      const nested = Object.assign(nameless(), present);
      into[key] = nested;
      joinRecord(nested, value, place, local, parsed, origins, findings);
    } else if (present === undefined) {
      origins.set(place, { parsed, local });
      into[key] = value;
    } else {
      const at = parsed.placeOf(local);
      const finding = {
        pointer: place,
        code: "PENSTOCK_CONFIG_DUPLICATE",
        detail: `"${key}" is declared in another file too`,
      };
      findings.push(at === undefined ? finding : { ...finding, at });
    }
  }
}

/** The longest prefix of a pointer whose origin is known, and the way on from there. */
function origin(
  pointer: string,
  origins: ReadonlyMap<string, { parsed: Parsed; local: readonly string[] }>,
  parsed: readonly Parsed[],
): { parsed: Parsed; local: readonly string[] } | undefined {
  const only = parsed.length === 1 ? parsed[0] : undefined;
  if (only !== undefined) return { parsed: only, local: pointerSteps(pointer) };
  for (let end = pointer.length; end > 0; end = pointer.lastIndexOf("/", end - 1)) {
    const known = origins.get(pointer.slice(0, end));
    if (known !== undefined)
      return { parsed: known.parsed, local: [...known.local, ...pointerSteps(pointer.slice(end))] };
  }
  return undefined;
}

/** Of the key, or the list's entry, that the steps lead to; of what is missing, where it should be. */
function offsetOf(document: Document, steps: readonly string[]): number {
  let node: unknown = document.contents;
  let offset = 0;
  for (const step of steps) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isPair(item) && isScalar(item.key) && String(item.key.value) === step);
      if (pair === undefined || !isScalar(pair.key)) break;
      offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      const item: unknown = node.items[Number(step)];
      const range = rangeOf(item);
      if (range === undefined) break;
      offset = range;
      node = item;
    } else {
      break;
    }
  }
  return offset;
}

function rangeOf(node: unknown): number | undefined {
  if (isMap(node) || isSeq(node) || isScalar(node)) return node.range?.[0];
  return undefined;
}
