/**
 * What the router reads of a request head: a structural part of `Head` (gateway/http/head.ts), so that tests and
 * `penstock explain` can ask about a request nobody has sent.
 */
export interface RoutedHead {
  /** All offsets are into this. */
  readonly memory: Uint8Array;
  /** METHOD_GET and so on; METHOD_OTHER for one without a code. */
  readonly method: number;
  readonly methodStart: number;
  readonly methodEnd: number;
  /** The normalised path, without the query. */
  readonly pathStart: number;
  readonly pathEnd: number;
  /** Lower case, without the port; empty where the request names no host. */
  readonly hostStart: number;
  readonly hostEnd: number;
  /** Index of the first field at or after `from` with this interned name, or −1. */
  find(nameId: number, from: number): number;
  valueStart(index: number): number;
  valueEnd(index: number): number;
}
