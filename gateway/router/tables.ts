/**
 * A router's tables, flat, and how they are made from routes. The way from a request to its route:
 *
 *     host ──hosts──▶ host record ──paths──▶ target ──┬──▶ route                          nothing else is asked
 *            exact,    root target,  exact path,      └──▶ bucket ─▶ groups ──values──▶ route
 *            then      what paths    then prefixes                   one for each set    method and header
 *            suffixes  there are     from the longest                of header names     values as one key
 *
 * A bucket holds the routes of one host and path. Its routes that ask for the same header names form a group, in which
 * the asked-for values are one hash key, so that ten thousand routes that differ in one header's value cost what one
 * costs. Of routes that ask for exactly the same, only the oldest can ever match, and the others take no place.
 */
import { internName } from "#http/names.ts";
import type { RouteSpec } from "#snapshot/snapshot.ts";
import { type Condition, conditionsOf, HOST_ANY, HOST_EXACT } from "./condition.ts";
import { type ByteTable, hashByte, TableBuilder } from "./table.ts";

/** Scopes of `hosts`. */
export const SCOPE_EXACT = 0;
export const SCOPE_SUFFIX = 1;

/** Cells of a host record: what a match on this host has to look for. */
export const HOST_CELLS = 4;
/** Target of the prefix `/`, or −1. */
export const HOST_ROOT = 0;
/** 1 when there are exact paths. */
export const HOST_EXACT_PATHS = 1;
/** Slashes of the prefix with the most. */
export const HOST_DEPTH = 2;
/** Bit n: there are prefixes with n slashes; bit 31 stands for 31 and more. */
export const HOST_DEPTHS = 3;

/** Cells of a group. */
export const GROUP_CELLS = 4;
/** Method and header count as one number: the higher goes first, groups of one class compete by age. */
export const GROUP_CLASS = 0;
export const GROUP_NAMES = 1;
export const GROUP_NAME_COUNT = 2;
/** The route, in the group that asks for nothing; else −1. */
export const GROUP_ROUTE = 3;
/** Added to the class of a group whose routes ask for a method. */
export const CLASS_METHOD = 1 << 16;

export interface Tables {
  readonly seed: number;
  readonly hosts: ByteTable;
  readonly hostRecords: Int32Array;
  /** Record of the routes for every host, or −1. */
  readonly anyHost: number;
  /** Dots of the suffix with the most. */
  readonly suffixDepth: number;
  /** Bit n: there are suffixes with n dots; bit 31 stands for 31 and more. */
  readonly suffixDepths: number;
  /** Scope: 2 × host record for exact paths, 2 × host record + 1 for prefixes. Value: a target. */
  readonly paths: ByteTable;
  readonly pathDepth: number;
  /** Groups of bucket b: from `buckets[b]` to `buckets[b + 1]`, in order of precedence. */
  readonly buckets: Int32Array;
  readonly groups: Int32Array;
  /** Interned names, by group. */
  readonly names: Int32Array;
  /** Scope: group. Key: the method or nothing, then NUL and the value for each name. Value: route. */
  readonly values: ByteTable;
  /** Age by route: the lower is older. */
  readonly ages: Int32Array;
}

/** A target is a route (even) or a bucket (odd), shifted by one: most paths have one route, which asks for no more. */
export const TARGET_BUCKET = 1;

interface Group {
  readonly class: number;
  readonly names: readonly string[];
  /** Key to the oldest route that asks for it. */
  readonly routes: Map<string, number>;
}
type Bucket = Map<string, Group>;
interface Host {
  readonly kind: number;
  readonly name: string;
  readonly exact: Map<string, Bucket>;
  readonly prefix: Map<string, Bucket>;
}

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

function reached<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}

/** Files one condition. Called from the oldest route to the youngest: who comes first stays. */
function file(hosts: Map<string, Host>, condition: Condition): void {
  const { hostKind, host: name, path, methods, headers } = condition;
  // A path has a slash in front or is `*`; any other prefix is met by nothing.
  if (!condition.pathExact && path !== "" && !path.startsWith("/")) return;
  const host = reached(hosts, `${hostKind}${name}`, () => ({
    kind: hostKind,
    name,
    exact: new Map<string, Bucket>(),
    prefix: new Map<string, Bucket>(),
  }));
  const bucket = reached(condition.pathExact ? host.exact : host.prefix, path, () => new Map<string, Group>());
  const group = reached(bucket, `${methods.length > 0}:${headers.map((header) => header.name).join()}`, () => ({
    class: (methods.length > 0 ? CLASS_METHOD : 0) + headers.length,
    names: headers.map((header) => header.name),
    routes: new Map<string, number>(),
  }));
  const values = headers.map((header) => `\0${header.value}`).join("");
  for (const method of methods.length > 0 ? methods : [""]) {
    reached(group.routes, method + values, () => condition.route);
  }
}

/** Lays filed hosts out in flat tables. */
class Layout {
  readonly #seed: number;
  readonly #hosts = new TableBuilder();
  readonly #paths = new TableBuilder();
  readonly #values = new TableBuilder();
  readonly #hostRecords: number[] = [];
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

  addHost(host: Host): void {
    const record = this.#hostRecords.length / HOST_CELLS;
    let root = -1;
    let depth = 0;
    let depths = 0;
    for (const [path, bucket] of host.exact) {
      this.#paths.add(2 * record, hashText(this.#seed, path), path, this.#addBucket(bucket));
    }
    for (const [path, bucket] of host.prefix) {
      const target = this.#addBucket(bucket);
      if (path === "") {
        root = target;
        continue;
      }
      const slashes = count(path, "/");
      depth = Math.max(depth, slashes);
      depths |= depthBit(slashes);
      this.#paths.add(2 * record + 1, hashText(this.#seed, path), path, target);
    }
    this.#pathDepth = Math.max(this.#pathDepth, depth);
    this.#hostRecords.push(root, host.exact.size > 0 ? 1 : 0, depth, depths);
    this.#addName(host, record);
  }

  build(ages: Int32Array): Tables {
    return {
      seed: this.#seed,
      hosts: this.#hosts.build(),
      hostRecords: Int32Array.from(this.#hostRecords),
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

  #addName(host: Host, record: number): void {
    if (host.kind === HOST_ANY) {
      this.#anyHost = record;
      return;
    }
    const scope = host.kind === HOST_EXACT ? SCOPE_EXACT : SCOPE_SUFFIX;
    this.#hosts.add(scope, hashTextBackwards(this.#seed, host.name), host.name, record);
    if (scope === SCOPE_SUFFIX) {
      const dots = count(host.name, ".");
      this.#suffixDepth = Math.max(this.#suffixDepth, dots);
      this.#suffixDepths |= depthBit(dots);
    }
  }

  /** Answers the bucket's target. */
  #addBucket(bucket: Bucket): number {
    const groups = [...bucket.values()].sort((a, b) => b.class - a.class);
    const [only] = groups;
    if (groups.length === 1 && only?.class === 0) return (only.routes.get("") ?? 0) << 1;
    const target = (this.#buckets.length << 1) | TARGET_BUCKET;
    this.#buckets.push(this.#groups.length / GROUP_CELLS);
    for (const group of groups) this.#addGroup(group);
    return target;
  }

  #addGroup(group: Group): void {
    const id = this.#groups.length / GROUP_CELLS;
    const route = group.class === 0 ? (group.routes.get("") ?? -1) : -1;
    this.#groups.push(group.class, this.#names.length, group.names.length, route);
    for (const name of group.names) this.#names.push(internName(name));
    if (group.class === 0) return;
    for (const [key, value] of group.routes) this.#values.add(id, hashText(this.#seed, key), key, value);
  }
}

/**
 * The tables of one listener. Throws PenstockError when a header name is no lower-case token, or when there are more
 * names than can be interned.
 */
export function compileTables(routes: readonly RouteSpec[], listener: number, seed: number): Tables {
  const byAge: number[] = [];
  for (let i = 0; i < routes.length; i++) if (routes[i]?.listeners.includes(listener)) byAge.push(i);
  byAge.sort((a, b) => (routes[a]?.order ?? 0) - (routes[b]?.order ?? 0) || a - b);
  const ages = new Int32Array(routes.length);
  const hosts = new Map<string, Host>();
  for (let age = 0; age < byAge.length; age++) {
    const index = byAge[age] as number;
    ages[index] = age;
    for (const condition of conditionsOf(routes[index] as RouteSpec, index)) file(hosts, condition);
  }
  const layout = new Layout(seed);
  for (const host of hosts.values()) layout.addHost(host);
  return layout.build(ages);
}
