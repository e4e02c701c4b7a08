/**
 * Objects with a fixed set of fields. `fields` is a strict object that also remembers which further fields the contract
 * promises for later versions; `unexpectedFields` reports every field that is neither, with the name it might have meant.
 * (The validator itself reports only the first unknown field of an object, and can't tell the three cases apart.)
 */
import * as v from "valibot";
import type { Finding } from "#core/errors.ts";
import { pointerTo } from "./pointer.ts";
import { list, tagged } from "./primitives.ts";
import { suggestion } from "./suggest.ts";

/** Field name to what it is, for the message. */
type LaterFields = Readonly<Record<string, string>>;

const SHAPES = new WeakMap<object, { readonly what: string; readonly later: LaterFields }>();

export function fields<const T extends v.ObjectEntries>(what: string, entries: T, later: LaterFields = {}) {
  const schema = v.strictObject(entries, (issue) => {
    if (issue.expected.startsWith('"')) return tagged("PENSTOCK_CONFIG_REQUIRED", `${what} needs ${issue.expected}`);
    return notFields(what, issue.input);
  });
  SHAPES.set(schema, { what, later });
  return schema;
}

/** Of each remembering schema, the inputs it has nothing against, and what it makes of them. */
const REMEMBERED = new WeakMap<object, WeakMap<object, unknown>>();
const EXPECTED = new WeakMap<object, WeakSet<object>>();

/**
 * As `fields`, for what a declaration has thousands of: an object that was found good is not looked at again as long as it
 * lives, and stands for the same value each time. So a change of one route costs one route. What was given may not be
 * changed afterwards.
 */
export function resource<const T extends v.ObjectEntries>(what: string, entries: T, later: LaterFields = {}) {
  const strict = fields(what, entries, later);
  const known = new WeakMap<object, unknown>();
  const schema: typeof strict = {
    ...strict,
    "~run": (dataset, config) => {
      const input = dataset.value;
      if (typeof input !== "object" || input === null) return strict["~run"](dataset, config);
      if (known.has(input)) return { typed: true, value: known.get(input) } as never;
      const result = strict["~run"](dataset, config);
      if (result.typed && result.issues === undefined) known.set(input, result.value);
      return result;
    },
  };
  SHAPES.set(schema, { what, later });
  REMEMBERED.set(schema, known);
  EXPECTED.set(schema, new WeakSet());
  return schema;
}

/** Of each remembering schema, the lists in which it has nothing against anything. */
const LISTS = new WeakMap<object, WeakMap<object, readonly unknown[]>>();

/** A list of what a remembering schema describes: only what is new in it goes through the validator. */
export function resources<const T extends v.GenericSchema>(item: T, max: number) {
  const validated = list(item, max);
  const lists = new WeakMap<object, readonly unknown[]>();
  const schema: typeof validated = {
    ...validated,
    "~run": (dataset, config) => {
      const input = dataset.value;
      if (!Array.isArray(input) || input.length > max) return validated["~run"](dataset, config);
      const values = lists.get(input) ?? valuesOf(item, input, config);
      if (values === undefined) return validated["~run"](dataset, config);
      lists.set(input, values);
      return { typed: true, value: values } as never;
    },
  };
  LISTS.set(item, lists);
  return schema;
}

/** Undefined: there is something against one of them. */
function valuesOf(item: v.GenericSchema, input: readonly unknown[], config: Parameters<v.GenericSchema["~run"]>[1]) {
  const values: unknown[] = [];
  for (const element of input) {
    const known = rememberedBy(item, element);
    if (known === undefined) {
      const result = item["~run"]({ value: element }, config);
      if (!result.typed || result.issues !== undefined) return undefined;
    }
    values.push(known ?? rememberedBy(item, element));
  }
  return values;
}

const CHOOSERS = new WeakMap<object, (input: unknown) => v.GenericSchema>();

/**
 * One of several schemas, chosen by what the input looks like: so a finding names its place within the alternative that
 * was meant, where a plain union only says that none of them fits. It still is a union to whoever describes it.
 */
export function alternatives<const T extends v.UnionOptions>(options: T, choose: (input: unknown) => v.GenericSchema) {
  const schema: v.UnionSchema<T, undefined> = {
    ...v.union(options),
    // What is chosen is one of the options, or refuses whatever it is given.
    "~run": (dataset, config) => choose(dataset.value)["~run"](dataset, config) as never,
  };
  CHOOSERS.set(schema, choose);
  return schema;
}

function notFields(what: string, given: unknown): string {
  if (given === null) return `expected ${what} with fields; leave the key out for none`;
  return `expected ${what} with fields, not ${Array.isArray(given) ? "a list" : typeof given}`;
}

/** Also finds lists where fields should be: to the validator a list is an object with unknown fields. */
export function unexpectedFields(schema: v.GenericSchema, input: unknown): Finding[] {
  const findings: Finding[] = [];
  walk(schema, input, [], findings);
  return findings;
}

type Path = readonly (string | number)[];

function walk(schema: unknown, input: unknown, path: Path, findings: Finding[]): void {
  if (typeof schema !== "object" || schema === null) return;
  const expected = EXPECTED.get(schema);
  if (expected === undefined || !isRecord(input)) {
    look(schema, input, path, findings);
  } else if (!expected.has(input)) {
    const before = findings.length;
    look(schema, input, path, findings);
    if (findings.length === before) expected.add(input);
  }
}

function look(schema: object, input: unknown, path: Path, findings: Finding[]): void {
  const choose = CHOOSERS.get(schema);
  if (choose !== undefined) {
    walk(choose(input), input, path, findings);
  } else if ("wrapped" in schema) {
    walk(schema.wrapped, input, path, findings);
  } else if ("item" in schema && Array.isArray(input)) {
    const expected = EXPECTED.get(schema.item as object);
    for (const [index, element] of input.entries()) {
      if (expected?.has(element as object) !== true) walk(schema.item, element, [...path, index], findings);
    }
  } else if ("entries" in schema && isRecord(schema.entries)) {
    if (isRecord(input)) walkObject(schema, schema.entries, input, path, findings);
    else if (Array.isArray(input)) {
      const detail = notFields(SHAPES.get(schema)?.what ?? "an object", input);
      findings.push({ pointer: pointerTo(path), code: "PENSTOCK_CONFIG_TYPE", detail });
    }
  }
}

function walkObject(
  schema: object,
  entries: Readonly<Record<string, unknown>>,
  input: Readonly<Record<string, unknown>>,
  path: Path,
  findings: Finding[],
): void {
  const later = SHAPES.get(schema)?.later ?? {};
  for (const [key, value] of Object.entries(input)) {
    if (Object.hasOwn(entries, key)) {
      walk(entries[key], value, [...path, key], findings);
      continue;
    }
    const pointer = pointerTo([...path, key]);
    const promised = Object.hasOwn(later, key) ? later[key] : undefined;
    if (promised === undefined) {
      findings.push({
        pointer,
        code: "PENSTOCK_CONFIG_UNKNOWN_FIELD",
        detail: unknownField(key, Object.keys(entries)),
      });
    } else {
      const detail = `${promised} ("${key}") is not supported by this version; remove the field`;
      findings.push({ pointer, code: "PENSTOCK_CONFIG_UNSUPPORTED", detail });
    }
  }
}

/**
 * Without "is required" for a field that is there under a misspelt name: one mistake, one finding, and the one that says
 * how to mend it.
 */
export function withoutMisspelt(findings: readonly Finding[]): Finding[] {
  const meant = new Set<string>();
  for (const { pointer, code, detail } of findings) {
    const name = code === "PENSTOCK_CONFIG_UNKNOWN_FIELD" ? DID_YOU_MEAN.exec(detail)?.[1] : undefined;
    if (name !== undefined) meant.add(`${pointer.slice(0, pointer.lastIndexOf("/"))}/${name}`);
  }
  return findings.filter(({ pointer, code }) => code !== "PENSTOCK_CONFIG_REQUIRED" || !meant.has(pointer));
}

const DID_YOU_MEAN = /; did you mean "(\w+)"\?$/;

function unknownField(key: string, known: readonly string[]): string {
  const meant = suggestion(key, known);
  if (meant !== undefined) return `unknown field "${key}"; did you mean "${meant}"?`;
  return `unknown field "${key}"; there are ${known.join(", ")}`;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What a remembering schema has made of this very object before; undefined: it was not asked, or had something against it. */
export function rememberedBy(schema: object, input: unknown): unknown {
  return isRecord(input) ? REMEMBERED.get(schema)?.get(input) : undefined;
}

/** The same of a list as a whole. */
export function rememberedList(schema: object, input: object): readonly unknown[] | undefined {
  return LISTS.get(schema)?.get(input);
}

/** The value without its unexpected fields, so that the rest of it can be understood. */
export function expectedFields(schema: unknown, input: unknown): unknown {
  if (typeof schema !== "object" || schema === null) return input;
  const choose = CHOOSERS.get(schema);
  if (choose !== undefined) return expectedFields(choose(input), input);
  if ("wrapped" in schema) return expectedFields(schema.wrapped, input);
  if ("item" in schema && Array.isArray(input)) return input.map((element) => expectedFields(schema.item, element));
  if (!("entries" in schema) || !isRecord(schema.entries) || !isRecord(input)) return input;
  const entries = schema.entries;
  const known = Object.entries(input).filter(([key]) => Object.hasOwn(entries, key));
  return Object.fromEntries(known.map(([key, value]) => [key, expectedFields(entries[key], value)]));
}
