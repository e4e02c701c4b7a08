/** A connection of a filter's own to an upstream: bytes, as they are. Made by `FilterServices.connect`; who made it closes it. */

export interface RawConnection {
  /** False: it is closed, or more waits to be sent than may. The bytes are copied. */
  send(bytes: Uint8Array): boolean;
  /**
   * What has come, at most `bytesMax` of it, as soon as there is something. Empty: the peer has ended. Null: it is broken,
   * or nothing came in time. One at a time.
   */
  receive(bytesMax: number, timeoutMs: number): Promise<Uint8Array | null>;
  close(): void;
}
