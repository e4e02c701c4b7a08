/**
 * A router's tables, flat. The way from a request to its route:
 *
 *     host ──hosts──▶ host record ──┬── few paths: in the record ──────┬──▶ target ──┬──▶ route
 *            exact,    root target, └── many paths ──paths──▶ record ──┘   methods   └──▶ bucket ─▶ groups ──values──▶ route
 *            then      which paths      exact, then prefixes                                        header values
 *            suffixes  there are        from the longest                                            as one key
 *
 * A target is all there is to know about most paths: one route, and the methods it takes. Only where more is asked, or
 * routes compete, it leads on to a bucket (see filing.ts).
 */
import {
  METHOD_CONNECT,
  METHOD_DELETE,
  METHOD_GET,
  METHOD_HEAD,
  METHOD_OPTIONS,
  METHOD_PATCH,
  METHOD_POST,
  METHOD_PUT,
  METHOD_TRACE,
} from "#http/head.ts";
import { internName } from "#http/names.ts";
import { HOST_ANY, HOST_EXACT } from "./condition.ts";
import { type Bucket, CLASS_METHOD, type Filing, type Group, type Host } from "./filing.ts";
import { type ByteTable, hashByte, TableBuilder } from "./table.ts";

/** Scopes of `hosts`. */
export const SCOPE_EXACT = 0;
export const SCOPE_SUFFIX = 1;

/** Cells of a target. A route; below −1: bucket −2 − n; −1: nothing. */
export const TARGET_ROUTE = 0;
/** Bit n: the route takes METHOD n. All bits: every method there is. */
export const TARGET_METHODS = 1;
type Target = readonly [number, number];
const NO_TARGET: Target = [-1, 0];
export const FIRST_BUCKET = -2;

/** Cells of a host record. First the target of the prefix `/`. */
export const HOST_ROOT = 0;
/** How many paths follow in the record, by precedence. */
export const HOST_FEW = 2;
/** 1 when there are exact paths in `paths`. */
export const HOST_EXACTS = 3;
/** Slashes of the prefix in `paths` with the most. */
export const HOST_DEPTH = 4;
/** Bit n: there are prefixes with n slashes in `paths`; bit 31 stands for 31 and more. */
export const HOST_DEPTHS = 5;
export const HOST_CELLS = 6;

/** A path in a host record: its target, these cells, its bytes. */
export const FEW_LENGTH = 2;
export const FEW_EXACT = 3;
export const FEW_CELLS = 4;
/** Up to here comparing bytes beats hashing the path, and a host and its paths stand in one place. */
const FEW_MAX = 4;

/** Cells of a group. */
export const GROUP_CELLS = 4;
export const GROUP_CLASS = 0;
export const GROUP_NAMES = 1;
export const GROUP_NAME_COUNT = 2;
/** The route, in the group that asks for nothing; else −1. */
export const GROUP_ROUTE = 3;

export interface Tables {
  readonly seed: number;
  readonly hosts: ByteTable;
  /** Record, in the cells of `hosts`, of the routes for every host; or −1. */
  readonly anyHost: number;
  /** Dots of the suffix with the most. */
  readonly suffixDepth: number;
  /** Bit n: there are suffixes with n dots; bit 31 stands for 31 and more. */
  readonly suffixDepths: number;
  /** Scope: 2 × host record for exact paths, 2 × host record + 1 for prefixes. Record: a target. */
  readonly paths: ByteTable;
  readonly pathDepth: number;
  /** Groups of bucket b: from `buckets[b]` to `buckets[b + 1]`, in order of precedence. */
  readonly buckets: Int32Array;
  readonly groups: Int32Array;
  /** Interned names, by group. */
  readonly names: Int32Array;
  /** Scope: group. Key: the method or nothing, then NUL and the value for each name. Record: the route. */
  readonly values: ByteTable;
  /** Age by route: the lower is older. */
  readonly ages: Int32Array;
}

const METHODS: ReadonlyMap<string, number> = new Map([
  ["GET", METHOD_GET],
  ["HEAD", METHOD_HEAD],
  ["POST", METHOD_POST],
  ["PUT", METHOD_PUT],
  ["DELETE", METHOD_DELETE],
  ["CONNECT", METHOD_CONNECT],
  ["OPTIONS", METHOD_OPTIONS],
  ["TRACE", METHOD_TRACE],
  ["PATCH", METHOD_PATCH],
]);

export function depthBit(depth: number): number {
  return 1 << (depth < 31 ? depth : 31);
}

export function hashText(seed: number, text: string): number {
  let hash = seed;
  for (let i = 0; i < text.length; i++) hash = hashByte(hash, text.charCodeAt(i));
  return hash;
}

/** From the end, so that one pass over a host passes through the hash of each of its suffixes. */
function hashTextBackwards(seed: number, text: string): number {
  let hash = seed;
  for (let i = text.length - 1; i >= 0; i--) hash = hashByte(hash, text.charCodeAt(i));
  return hash;
}

function count(text: string, character: string): number {
  let found = 0;
  for (let at = text.indexOf(character); at >= 0; at = text.indexOf(character, at + 1)) found++;
  return found;
}

/** The target of a bucket with one route that asks for no header and for common methods; null for any other. */
function plainTarget(groups: readonly Group[]): Target | null {
  const [only] = groups;
  if (only === undefined || groups.length > 1 || only.names.length > 0) return null;
  let target: [number, number] | null = null;
  for (const [method, route] of only.routes.entries()) {
    const code = METHODS.get(method);
    if (method !== "" && code === undefined) return null;
    if (target !== null && target[0] !== route) return null;
    target ??= [route, 0];
    target[1] |= code === undefined ? -1 : 1 << code;
  }
  return target;
}

class Layout {
  readonly #seed: number;
  readonly #hosts = new TableBuilder();
  readonly #paths = new TableBuilder();
  readonly #values = new TableBuilder();
  readonly #buckets: number[] = [];
  readonly #groups: number[] = [];
  readonly #names: number[] = [];
  #anyHost = -1;
  #suffixDepth = 0;
  #suffixDepths = 0;
  #pathDepth = 0;

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** A step for each path. */
  *addHost(host: Host): Generator<void, void, void> {
    const root = host.buckets.get("");
    const rootTarget = root === undefined ? NO_TARGET : this.#target(root);
    const buckets = host.buckets.values().filter((bucket) => bucket !== root);
    if (buckets.length <= FEW_MAX) this.#addFew(host, rootTarget, buckets);
    else yield* this.#addMany(host, rootTarget, buckets);
    yield;
  }

  build(ages: Int32Array): Tables {
    return {
      seed: this.#seed,
      hosts: this.#hosts.build(),
      anyHost: this.#anyHost,
      suffixDepth: this.#suffixDepth,
      suffixDepths: this.#suffixDepths,
      paths: this.#paths.build(),
      pathDepth: this.#pathDepth,
      buckets: Int32Array.from([...this.#buckets, this.#groups.length / GROUP_CELLS]),
      groups: Int32Array.from(this.#groups),
      names: Int32Array.from(this.#names),
      values: this.#values.build(),
      ages,
    };
  }

  /** Answers the index of the host's record, at whose end few paths may still follow. */
  #addName(host: Host, record: readonly number[]): number {
    if (host.kind === HOST_ANY) {
      this.#anyHost = this.#hosts.addRecord(record);
      return this.#anyHost;
    }
    const scope = host.kind === HOST_EXACT ? SCOPE_EXACT : SCOPE_SUFFIX;
    if (scope === SCOPE_SUFFIX) {
      const dots = count(host.name, ".");
      this.#suffixDepth = Math.max(this.#suffixDepth, dots);
      this.#suffixDepths |= depthBit(dots);
    }
    return this.#hosts.add(scope, hashTextBackwards(this.#seed, host.name), host.name, record);
  }

  #addFew(host: Host, root: Target, buckets: readonly Bucket[]): void {
    this.#addName(host, [...root, buckets.length, 0, 0, 0]);
    const byPrecedence = buckets.toSorted((a, b) => Number(b.exact) - Number(a.exact) || b.path.length - a.path.length);
    for (const bucket of byPrecedence) {
      const { exact, path } = bucket;
      this.#hosts.addRecord([...this.#target(bucket), path.length, exact ? 1 : 0]);
      this.#hosts.addText(path);
    }
  }

  *#addMany(host: Host, root: Target, buckets: readonly Bucket[]): Generator<void, void, void> {
    let exacts = 0;
    let depth = 0;
    let depths = 0;
    for (const { exact, path } of buckets) {
      const slashes = exact ? 0 : count(path, "/");
      if (exact) exacts = 1;
      else depths |= depthBit(slashes);
      depth = Math.max(depth, slashes);
    }
    this.#pathDepth = Math.max(this.#pathDepth, depth);
    const record = this.#addName(host, [...root, 0, exacts, depth, depths]);
    for (const bucket of buckets) {
      const { exact, path } = bucket;
      const scope = exact ? 2 * record : 2 * record + 1;
      this.#paths.add(scope, hashText(this.#seed, path), path, this.#target(bucket));
      yield;
    }
  }

  #target(bucket: Bucket): Target {
    const groups = bucket.groups.values();
    const plain = plainTarget(groups);
    if (plain !== null) return plain;
    groups.sort((a, b) => b.class - a.class);
    const target = FIRST_BUCKET - this.#buckets.length;
    this.#buckets.push(this.#groups.length / GROUP_CELLS);
    for (const group of groups) this.#addGroup(group);
    return [target, -1];
  }

  #addGroup(group: Group): void {
    const id = this.#groups.length / GROUP_CELLS;
    const route = group.class === 0 ? (group.routes.get("") ?? -1) : -1;
    this.#groups.push(group.class, this.#names.length, group.names.length, route);
    for (const name of group.names) this.#names.push(internName(name));
    if (group.class === 0) return;
    for (const [key, index] of group.routes.entries()) this.#values.add(id, hashText(this.#seed, key), key, [index]);
  }
}

/**
 * The tables of filed routes, in steps. Throws PenstockError when a header name is no lower-case token, or when there are more
 * names than can be interned.
 */
export function* layingOut(filing: Filing, seed: number): Generator<void, Tables, void> {
  const layout = new Layout(seed);
  for (const host of filing.hosts) yield* layout.addHost(host);
  return layout.build(filing.ages);
}

export function asksForMethod(groupClass: number): boolean {
  return groupClass >= CLASS_METHOD;
}
