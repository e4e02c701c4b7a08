/**
 * Where a steered client wanted to go, asked of the map that the steering programs keep (bpf/src/steer_maps.h), by the
 * client's own end of the connection. Workers always ask the map, never SO_ORIGINAL_DST: that would need a program on
 * a cgroup that only the gateway is in, which it does not always have, and costs about the same.
 *
 *     key and value   struct endpoint { ip[16] | port:16 big-endian | protocol:16 }    protocol: of keys, 17 for UDP, else 0
 *
 * The record stands before the client's SYN, or first datagram, leaves, and goes when the client's socket closes. Of a
 * connection ask once, on accept; of datagrams each time, since another socket may have its port next.
 */
import type { Fd } from "#core/brands.ts";
import { AF_INET, AF_INET6 } from "#sys/socket.ts";
import { familyOf, ipOf, socketAddress } from "#core/address.ts";
import { MapIo } from "#sys/bpf.ts";

const ENDPOINT_BYTES = 20;
const PORT_AT = 16;
const PROTOCOL_AT = 18;
const UDP = 17;

export class OriginalDestinations {
  readonly #io: MapIo;

  /** A read-only descriptor is enough. It stays the caller's. */
  constructor(fd: Fd) {
    this.#io = new MapIo(fd, ENDPOINT_BYTES, ENDPOINT_BYTES);
  }

  /**
   * `peer`: struct sockaddr of the accepted socket's other end. Answers a new struct sockaddr, or null when the
   * connection was not steered (or its client is gone already).
   */
  find(peer: Uint8Array, protocol: "tcp" | "udp" = "tcp"): Uint8Array | null {
    const family = familyOf(peer);
    if (family !== AF_INET && family !== AF_INET6) return null;
    const { key, value } = this.#io;
    key.set(ipOf(peer), 0);
    // The port has the same place in both kinds of sockaddr, and the same byte order as in the key.
    key[PORT_AT] = peer[2] as number;
    key[PORT_AT + 1] = peer[3] as number;
    key[PROTOCOL_AT] = protocol === "udp" ? UDP : 0;
    if (this.#io.lookup() !== 0) return null;
    return socketAddress(Uint8Array.from(value.subarray(0, PORT_AT)), value.readUInt16BE(PORT_AT));
  }

  /**
   * Whether datagrams of a client still lead to `destination` (a struct sockaddr; null: to nowhere but the listener), as they
   * did when their session began. `memory` holds the client's sockaddr at `at`. Allocates nothing: asked for each datagram.
   */
  leadsTo(memory: Uint8Array, at: number, destination: Uint8Array | null): boolean {
    const { key, value } = this.#io;
    const v4 = memory[at] === AF_INET;
    key.fill(0, 0, PORT_AT);
    if (v4) key.fill(0xff, 10, 12);
    for (let i = v4 ? 12 : 0, from = at + (v4 ? 4 : 8); i < PORT_AT; i++) key[i] = memory[from++] as number;
    key[PORT_AT] = memory[at + 2] as number;
    key[PORT_AT + 1] = memory[at + 3] as number;
    key[PROTOCOL_AT] = UDP;
    if (this.#io.lookup() !== 0) return destination === null;
    if (destination === null || value[PORT_AT] !== destination[2] || value[PORT_AT + 1] !== destination[3])
      return false;
    const mapped = destination[0] === AF_INET;
    for (let i = mapped ? 12 : 0, from = mapped ? 4 : 8; i < PORT_AT; i++, from++) {
      if (value[i] !== destination[from]) return false;
    }
    return true;
  }
}
