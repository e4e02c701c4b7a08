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
import { CLASS_METHOD } from "./filing.ts";
import { type ByteTable, hashByte } from "./table.ts";

/** Scopes of `hosts`. */
export const SCOPE_EXACT = 0;
export const SCOPE_SUFFIX = 1;

/** Cells of a target. A route; below −1: bucket −2 − n; −1: nothing. */
export const TARGET_ROUTE = 0;
/** Bit n: the route takes METHOD n. All bits: every method there is. */
export const TARGET_METHODS = 1;
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
  /** What has been laid out anew since all was; what stood there before is still in the tables. */
  readonly revised: number;
}

export function depthBit(depth: number): number {
  return 1 << (depth < 31 ? depth : 31);
}

export function hashText(seed: number, text: string): number {
  let hash = seed;
  for (let i = 0; i < text.length; i++) hash = hashByte(hash, text.charCodeAt(i));
  return hash;
}

export function asksForMethod(groupClass: number): boolean {
  return groupClass >= CLASS_METHOD;
}
