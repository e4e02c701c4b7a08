/**
 * Datagrams as completions: a socket in service calls its handler for each one that has come, within `Driver.turn`.
 *
 * Rules every driver keeps, and the contract checks:
 *  - a datagram comes whole (up to 64 KiB), or not at all; what it brings stands in `memory` and is valid for the call;
 *  - `send` hands over at once or not at all: no queue, and a full socket is an answer, as it is with UDP itself;
 *  - after `close` no callback reaches its handler.
 */
import type { Fd } from "#core/brands.ts";

export interface DatagramHandler {
  /** The datagram is described by the fields of `socket`. */
  onDatagram(socket: DatagramSocket): void;
  /** An errno: of a connected socket, mostly what ICMP said of a datagram sent before (ECONNREFUSED). The socket stays. */
  onDatagramError(socket: DatagramSocket, error: number): void;
}

export interface DatagramSocket {
  readonly fd: Fd;
  readonly memory: Uint8Array;
  /** The datagram under way: `memory[start, end)`. */
  readonly start: number;
  readonly end: number;
  /** Who sent it: bytes of a struct sockaddr at `memory[addressStart, addressStart + addressBytes)`. */
  readonly addressStart: number;
  readonly addressBytes: number;
  /**
   * Behind the sender's address, at `memory[addressStart + 28, addressStart + 48)`: the address of ours it was sent to, as 16
   * bytes (IPv4 mapped) and the interface's index; zeros where the socket is bound to one address.
   */
  readonly localStart: number;

  /** Room for one datagram of the caller's own: copies `bytes` (at most DATAGRAM_BYTES_MAX) and answers where they begin, for the next send. */
  stage(bytes: Uint8Array): number;
  /** To the peer of a connected socket. Answers bytes, or −errno (−EAGAIN: no room). The bytes are of any datagram's `memory`. */
  send(memory: DatagramSocket, start: number, end: number): number;
  /** To `to` (a struct sockaddr), from one of our own addresses: 20 bytes as at `localStart`, or null for the bound one. */
  sendTo(memory: DatagramSocket, start: number, end: number, to: Uint8Array, from: Uint8Array | null): number;
  /** Ends it. The descriptor of a connected socket goes with it, that of a bound one stays the caller's. */
  close(): void;
}

/** Bytes kept for a sender's address: struct sockaddr_in6. */
export const ADDRESS_BYTES = 28;
/** An address of ours: 16 bytes and an index of an interface. */
export const LOCAL_BYTES = 20;
/** A datagram's greatest body, and a little more: what fills it was longer. */
export const DATAGRAM_BYTES_MAX = 65_536;
