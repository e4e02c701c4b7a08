/**
 * A message head: the received bytes, an offset table over them, and a short list of edits. Strings exist only for who
 * asks. All offsets are absolute offsets into one `memory` (the arena on the data plane, any Uint8Array in a test), also
 * those of edited values, which stand in a scratch region of the same memory that is taken on the first edit.
 *
 * One Head serves many messages in turn (`reset`); it owns its scratch region and nothing else.
 */

/** Where edited values are put: on the data plane, a buffer of the arena. */
export interface Scratch {
  readonly memory: Uint8Array;
  /** Bytes of one region. */
  readonly regionBytes: number;
  /** Byte offset of a fresh region, or −1 when there is none. */
  allocate(): number;
  free(offset: number): void;
}
