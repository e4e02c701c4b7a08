/**
 * What scripts remember of one stream. A context is a plain object of the script's own fields, and belongs to one pipeline
 * instance. An instance for one message of a connection (`demuxHTTP`) begins with a copy of its parent's: it sees what was
 * set before, and nothing it sets is seen by its siblings. Filters that carry the same stream on (`pipe`, `fork`, `branch`,
 * TLS) hand the context itself to their children.
 *
 * Rejected: prototypes (`Object.create(parent)`). Every connection would have a shape of its own, and each access would
 * be a search; a copy of a small object takes some ten nanoseconds.
 */

/** Where a stream came from. One object a connection or session, shared by the contexts of all its streams. */
export interface Inbound {
  /** The client's IP, `203.0.113.7` or `2001:db8::7`; empty for a Unix socket. */
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  /** Where a steered client wanted to go, `198.51.100.7:80`; null when it was not steered. */
  readonly originalDestination: string | null;
  /** The server name that a TLS client asked for; null without one. */
  readonly serverName: string | null;
  readonly socket: RawSocket;
}

export interface RawSocket {
  /** getsockopt(2): the bytes the kernel answers, at most `length`. Throws PENSTOCK_SYS_CALL with the errno. */
  getOption(level: number, option: number, length: number): Uint8Array;
  setOption(level: number, option: number, value: Uint8Array): void;
}

/** A script's fields, and where the stream came from. */
export type Context<C extends object> = C & { readonly inbound: Inbound };

/** For a child that must not be seen by its siblings. */
export function copyContext<T extends object>(context: T): T {
  return { ...context };
}
