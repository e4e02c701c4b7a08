/** Where edited values are put: on the data plane, a buffer of the arena. */
export interface Scratch {
  readonly memory: Uint8Array;
  /** Bytes of one region. */
  readonly regionBytes: number;
  /** Byte offset of a fresh region, or −1 when there is none. */
  allocate(): number;
  free(offset: number): void;
}
