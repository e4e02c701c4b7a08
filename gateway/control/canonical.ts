/**
 * One text for equal data: keys sorted by code unit, no white space, absent and undefined fields left out (a subset of
 * RFC 8785: our numbers are integers). Digests over it name declarations and snapshots.
 *
 * The texts of whole values, of long lists and of objects in lists are remembered as long as these live, so that one changed
 * route among ten thousand costs one route. Nothing given here may be changed afterwards: declarations and snapshots never are.
 */
import { createHash } from "node:crypto";

const TEXTS = new WeakMap<object, string>();
/** Entries of a list whose text is worth its memory. */
const LONG = 32;

export function canonicalJson(value: unknown): string {
  return typeof value === "object" && value !== null ? remembered(value) : textOf(value);
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
  const fields = value as Readonly<Record<string, unknown>>;
  const parts: string[] = [];
  for (const key of Object.keys(value).sort()) {
    const field = fields[key];
    if (field !== undefined) parts.push(`${JSON.stringify(key)}:${fieldText(field)}`);
  }
  return `{${parts.join(",")}}`;
}

function fieldText(value: unknown): string {
  return Array.isArray(value) && value.length > LONG ? remembered(value) : textOf(value);
}

function elementText(value: unknown): string {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? remembered(value) : textOf(value);
}

/** SHA-256, 64 lower-case hex digits. */
export function sha256Hex(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

export function digestOf(value: unknown): string {
  return sha256Hex(canonicalJson(value));
}
