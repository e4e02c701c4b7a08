/**
 * Lays filed routes out in tables: all of a listener, or, in a copy of tables that stay as they are, the hosts and paths that
 * have changed. A record is laid out behind all others and its key leads there from then on; what stood there before stays
 * as waste, until everything is laid out again.
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
import { HOST_ANY, HOST_EXACT, type HostKind } from "./condition.ts";
import type { Bucket, Group, Host } from "./filing.ts";
import { hashByte, TableBuilder } from "./table.ts";
import {
  depthBit,
  FIRST_BUCKET,
  GROUP_CELLS,
  hashText,
  HOST_DEPTH,
  HOST_DEPTHS,
  HOST_EXACTS,
  HOST_ROOT,
  SCOPE_EXACT,
  SCOPE_SUFFIX,
  type Tables,
  TARGET_METHODS,
  TARGET_ROUTE,
} from "./tables.ts";

export type HostName = Pick<Host, "kind" | "name">;
export type PathName = Pick<Bucket, "exact" | "path">;
type Target = readonly [number, number];
const NO_TARGET: Target = [-1, 0];

/** Up to here comparing bytes beats hashing the path, and a host and its paths stand in one place. */
const FEW_MAX = 4;

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

export class Layout {
  readonly #seed: number;
  readonly #hosts: TableBuilder;
  readonly #paths: TableBuilder;
  readonly #values: TableBuilder;
  readonly #buckets: number[];
  readonly #groups: number[];
  readonly #names: number[];
  #anyHost: number;
  #suffixDepth: number;
  #suffixDepths: number;
  #pathDepth: number;

  /** `before`: what it begins with a copy of. */
  constructor(seed: number, before: Tables | null = null) {
    this.#seed = seed;
    this.#hosts = before === null ? new TableBuilder() : TableBuilder.from(before.hosts);
    this.#paths = before === null ? new TableBuilder() : TableBuilder.from(before.paths);
    this.#values = before === null ? new TableBuilder() : TableBuilder.from(before.values);
    // The last bucket ends where the next begins.
    this.#buckets = before === null ? [] : Array.from(before.buckets.subarray(0, -1));
    this.#groups = before === null ? [] : Array.from(before.groups);
    this.#names = before === null ? [] : Array.from(before.names);
    this.#anyHost = before?.anyHost ?? -1;
    this.#suffixDepth = before?.suffixDepth ?? 0;
    this.#suffixDepths = before?.suffixDepths ?? 0;
    this.#pathDepth = before?.pathDepth ?? 0;
  }

  build(ages: Int32Array, revised: number): Tables {
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
      revised,
    };
  }

  /** A step for each path. */
  *addHost(host: HostName & Pick<Host, "buckets">): Generator<void, void, void> {
    const root = host.buckets.get("");
    const rootTarget = root === undefined ? NO_TARGET : this.#target(root);
    const buckets = host.buckets.values().filter((bucket) => bucket !== root);
    if (buckets.length <= FEW_MAX) this.#addFew(host, rootTarget, buckets);
    else yield* this.#addMany(host, rootTarget, buckets);
    yield;
  }

  /** No request of this host has a route here any more. */
  clearHost(host: HostName): void {
    this.#addFew(host, NO_TARGET, []);
  }

  /** Record of a host whose paths stand in a table of their own, and so can be changed one by one; −1: there is no such host. */
  manyOf({ kind, name }: HostName): number {
    const record =
      kind === HOST_ANY ? this.#anyHost : this.#hosts.find(scopeOf(kind), hashTextBackwards(this.#seed, name), name);
    if (record < 0) return -1;
    return this.#hosts.get(record + HOST_EXACTS) !== 0 || this.#hosts.get(record + HOST_DEPTHS) !== 0 ? record : -1;
  }

  /** `record`: of `manyOf`. `bucket`: what the path has now; undefined: no routes. */
  setPath(record: number, path: PathName, bucket: Bucket | undefined): void {
    const target = bucket === undefined ? NO_TARGET : this.#target(bucket);
    if (!path.exact && path.path === "") {
      this.#hosts.set(record + HOST_ROOT + TARGET_ROUTE, target[0]);
      this.#hosts.set(record + HOST_ROOT + TARGET_METHODS, target[1]);
      return;
    }
    const known = this.#paths.find(scopeOfPath(record, path), hashText(this.#seed, path.path), path.path);
    if (known >= 0) {
      this.#paths.set(known + TARGET_ROUTE, target[0]);
      this.#paths.set(known + TARGET_METHODS, target[1]);
    } else if (bucket !== undefined) {
      this.#addPath(record, path, target);
      const asked = new Depths();
      asked.add(path);
      const { exacts, depth, depths } = asked;
      this.#hosts.set(record + HOST_EXACTS, this.#hosts.get(record + HOST_EXACTS) | exacts);
      this.#hosts.set(record + HOST_DEPTH, Math.max(this.#hosts.get(record + HOST_DEPTH), depth));
      this.#hosts.set(record + HOST_DEPTHS, this.#hosts.get(record + HOST_DEPTHS) | depths);
      this.#pathDepth = Math.max(this.#pathDepth, depth);
    }
  }

  /** Answers the index of the host's record, at whose end few paths may still follow. */
  #addName({ kind, name }: HostName, record: readonly number[]): number {
    if (kind === HOST_ANY) {
      this.#anyHost = this.#hosts.addRecord(record);
      return this.#anyHost;
    }
    if (kind !== HOST_EXACT) {
      const dots = count(name, ".");
      this.#suffixDepth = Math.max(this.#suffixDepth, dots);
      this.#suffixDepths |= depthBit(dots);
    }
    return this.#hosts.add(scopeOf(kind), hashTextBackwards(this.#seed, name), name, record);
  }

  #addFew(host: HostName, root: Target, buckets: readonly Bucket[]): void {
    this.#addName(host, [...root, buckets.length, 0, 0, 0]);
    const byPrecedence = buckets.toSorted((a, b) => Number(b.exact) - Number(a.exact) || b.path.length - a.path.length);
    for (const bucket of byPrecedence) {
      const { exact, path } = bucket;
      this.#hosts.addRecord([...this.#target(bucket), path.length, exact ? 1 : 0]);
      this.#hosts.addText(path);
    }
  }

  *#addMany(host: HostName, root: Target, buckets: readonly Bucket[]): Generator<void, void, void> {
    const asked = new Depths();
    for (const bucket of buckets) asked.add(bucket);
    const { exacts, depth, depths } = asked;
    this.#pathDepth = Math.max(this.#pathDepth, depth);
    const record = this.#addName(host, [...root, 0, exacts, depth, depths]);
    for (const bucket of buckets) {
      this.#addPath(record, bucket, this.#target(bucket));
      yield;
    }
  }

  #addPath(record: number, path: PathName, target: Target): void {
    this.#paths.add(scopeOfPath(record, path), hashText(this.#seed, path.path), path.path, target);
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

/** Which paths of a host there are, as its record says it. */
class Depths {
  exacts = 0;
  depth = 0;
  depths = 0;

  add({ exact, path }: PathName): void {
    const slashes = exact ? 0 : count(path, "/");
    if (exact) this.exacts = 1;
    else this.depths |= depthBit(slashes);
    this.depth = Math.max(this.depth, slashes);
  }
}

function scopeOf(kind: HostKind): number {
  return kind === HOST_EXACT ? SCOPE_EXACT : SCOPE_SUFFIX;
}

function scopeOfPath(record: number, { exact }: PathName): number {
  return exact ? 2 * record : 2 * record + 1;
}
