/**
 * Large files, as programs write them: a parser that keeps the place of each word takes a microsecond and a hundred bytes of
 * memory for each byte, so a hundred thousand routes (12 MB) take twelve seconds and 1.2 GB, where reading the data alone takes
 * less than one. What is looked for in such a file is found by reading the one entry of a list that it is in.
 *
 * Scalars mean what YAML 1.2's core schema says, as in small files. What only the other parser can do is left to it: anchors,
 * whose expansion it bounds, and directives.
 */
import { FAILSAFE_SCHEMA, load, Type, YAMLException } from "js-yaml";

/** A few thousand routes: below, places cost nothing that anyone would notice. */
const LARGE = 2 ** 20;

export type LargeFile =
  | { readonly ok: true; readonly data: unknown }
  /** `offset`: where in the text. */
  | { readonly ok: false; readonly why: string; readonly offset: number };

/** Null: it is not large, or has what it takes the other parser for. */
export function readLargeFile(text: string): LargeFile | null {
  return text.length < LARGE || text.includes("&") || /^%/m.test(text) ? null : readQuickly(text);
}

/** For texts without anchors and directives. */
export function readQuickly(text: string): LargeFile {
  try {
    return { ok: true, data: load(text, { schema: CORE }) };
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    return { ok: false, why: error.reason, offset: error.mark?.position ?? 0 };
  }
}

/** A part of a text that is a document by itself. */
export interface Section {
  readonly text: string;
  /** Of the section in the whole text. */
  readonly offset: number;
  /** What is left of the way to what is looked for. */
  readonly steps: readonly string[];
}

/**
 * The entry of a top-level list that the steps (`routes`, `77`, …) lead into, where the list is written in lines:
 *
 *     routes:
 *       - name: a          its dash and what is indented behind it
 *         upstream: up
 *
 * Undefined: it is written otherwise.
 */
export function sectionOf(text: string, [list, index, ...steps]: readonly string[]): Section | undefined {
  if (list === undefined || index === undefined || !/^\w+$/.test(list)) return undefined;
  const key = new RegExp(`^${list}:[ \\t]*(?:#.*)?$`, "m").exec(text);
  if (key === null) return undefined;
  const dash = /^( *)-(?:[ \t]|$)/gm;
  dash.lastIndex = key.index + key[0].length;
  const first = dash.exec(text);
  if (first === null) return undefined;
  const entry = new RegExp(`^${first[1]}-(?:[ \\t]|$)`, "gm");
  entry.lastIndex = first.index;
  let start = first.index;
  for (let left = Number(index); left >= 0; left--) {
    const found = entry.exec(text);
    if (found === null) return undefined;
    start = found.index;
  }
  const next = entry.exec(text)?.index ?? text.length;
  return { text: text.slice(start, next), offset: start, steps: ["0", ...steps] };
}

/** `12:7`, from 1. */
export function placeIn(text: string, offset: number): string {
  const before = text.slice(0, offset);
  const line = before.split("\n").length;
  return `${line}:${offset - before.lastIndexOf("\n")}`;
}

function scalar(name: string, form: RegExp, construct: (text: string) => unknown): Type {
  return new Type(`tag:yaml.org,2002:${name}`, {
    kind: "scalar",
    resolve: (text: unknown) => typeof text === "string" && form.test(text),
    construct,
  });
}

/** YAML 1.2.2, 10.3.2: the core schema's tag resolution. */
const CORE = FAILSAFE_SCHEMA.extend({
  implicit: [
    scalar("null", /^(?:null|Null|NULL|~|)$/, () => null),
    scalar("bool", /^(?:true|True|TRUE|false|False|FALSE)$/, (text) => text.toLowerCase() === "true"),
    scalar("int", /^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$/, Number),
    scalar(
      "float",
      /^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/,
      float,
    ),
  ],
});

function float(text: string): number {
  if (!/[fF]$/.test(text)) return Number(text);
  return text.startsWith("-") ? -Infinity : Infinity;
}
