/**
 * One text for equal data: keys sorted by code unit, no white space, absent and undefined fields left out (a subset of
 * RFC 8785: our numbers are integers). Digests over it name declarations and snapshots.
 *
 * The texts of objects in lists are remembered as long as these live, and so are the digests of parts of long lists: one
 * changed route among ten thousand costs one route. Nothing given here may be changed afterwards: declarations and snapshots
 * never are.
 */
import { createHash } from "node:crypto";

const TEXTS = new WeakMap<object, string>();

export function canonicalJson(value: unknown): string {
  return textOf(value);
}

function remembered(value: object): string {
  const known = TEXTS.get(value);
  if (known !== undefined) return known;
  const text = textOf(value);
  TEXTS.set(value, text);
  return text;
}

function textOf(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  if (Array.isArray(value)) return `[${value.map(elementText).join(",")}]`;
  return objectText(value, textOf);
}

function objectText(value: object, fieldText: (field: unknown) => string): string {
  const fields = value as Readonly<Record<string, unknown>>;
  const parts: string[] = [];
  for (const key of Object.keys(value).sort()) {
    const field = fields[key];
    if (field !== undefined) parts.push(`${JSON.stringify(key)}:${fieldText(field)}`);
  }
  return `{${parts.join(",")}}`;
}

function elementText(value: unknown): string {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? remembered(value) : textOf(value);
}

/** SHA-256, 64 lower-case hex digits. */
export function sha256Hex(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

/** Above this a list is hashed in parts. */
const LONG = 32;
const PART = 128;

interface Part {
  readonly entries: readonly unknown[];
  readonly digest: string;
}

/** By first entry. */
const PARTS = new WeakMap<object, Part>();
/** Of long lists. */
const DIGESTS = new WeakMap<object, string>();

/**
 * SHA-256, 64 lower-case hex digits, of the canonical text in which each list of more than 32 entries stands as the digests of
 * its parts, 128 entries each:
 *
 *     {"routes":#[<digest of [128 routes]>,<digest of the next 128>,…],"settings":{…}}
 */
export function digestOf(value: unknown): string {
  return sha256Hex(condensed(value));
}

function condensed(value: unknown): string {
  if (typeof value !== "object" || value === null) return textOf(value);
  if (Array.isArray(value)) return value.length > LONG ? digestsOf(value) : textOf(value);
  return objectText(value, condensed);
}

function digestsOf(list: readonly unknown[]): string {
  const known = DIGESTS.get(list);
  if (known !== undefined) return known;
  const parts: string[] = [];
  for (let at = 0; at < list.length; at += PART) parts.push(partDigest(list, at));
  const text = `#[${parts.join(",")}]`;
  DIGESTS.set(list, text);
  return text;
}

function partDigest(list: readonly unknown[], at: number): string {
  const first = list[at];
  const isObject = typeof first === "object" && first !== null;
  const known = isObject ? PARTS.get(first) : undefined;
  if (known !== undefined && isPart(known.entries, list, at)) return known.digest;
  const entries = list.slice(at, at + PART);
  const digest = sha256Hex(textOf(entries));
  if (isObject) PARTS.set(first, { entries, digest });
  return digest;
}

function isPart(entries: readonly unknown[], list: readonly unknown[], at: number): boolean {
  if (entries.length !== Math.min(PART, list.length - at)) return false;
  return entries.every((entry, index) => entry === list[at + index]);
}
