/**
 * Where a steered client wanted to go, asked of the map that the steering programs keep (bpf/src/steer_maps.h), by the
 * client's own end of the connection. Workers always ask the map, never SO_ORIGINAL_DST: that would need a program on
 * a cgroup that only the gateway is in, which it does not always have, and costs about the same.
 *
 *     key and value   struct endpoint { ip[16] | port:16 big-endian | 0:16 }
 *
 * The record stands before the client's SYN leaves and goes when the client's socket closes: ask once, on accept.
 */
import type { Fd } from "#core/brands.ts";
import { AF_INET, AF_INET6 } from "#sys/socket.ts";
import { familyOf, ipOf, socketAddress } from "#core/address.ts";
import { MapIo } from "#sys/bpf.ts";

const ENDPOINT_BYTES = 20;
const PORT_AT = 16;

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
  find(peer: Uint8Array): Uint8Array | null {
    const family = familyOf(peer);
    if (family !== AF_INET && family !== AF_INET6) return null;
    const { key, value } = this.#io;
    key.set(ipOf(peer), 0);
    // The port has the same place in both kinds of sockaddr, and the same byte order as in the key.
    key[PORT_AT] = peer[2] as number;
    key[PORT_AT + 1] = peer[3] as number;
    if (this.#io.lookup() !== 0) return null;
    return socketAddress(Uint8Array.from(value.subarray(0, PORT_AT)), value.readUInt16BE(PORT_AT));
  }
}
