/** UDP between namespaces, one way and synchronous, so that a test can say of every packet whether it arrived. */
import type { Fd } from "#core/brands.ts";
import { familyOf, parseAddress } from "#core/address.ts";
import { addressOf } from "#sys/memory.ts";
import { inNetworkNamespace } from "#sys/netns.ts";
import { bind, close, connect, recv, send, setsockoptInt, SOCK_DGRAM, socket, SOL_SOCKET } from "#sys/socket.ts";
import type { Namespace } from "./netns.ts";

const PACKET = Buffer.from("packet");
const PACKET_ADDRESS = Number(addressOf(PACKET));
const RECEIVED = Buffer.alloc(64);
const RECEIVED_ADDRESS = Number(addressOf(RECEIVED));
/** include/uapi/asm-generic/socket.h: beyond net.core.rmem_max, for root. */
const SO_RCVBUFFORCE = 33;
/** Every packet of the longest flood at once (a small one takes 768 bytes): none may be lost for want of room here. */
const RECEIVE_BYTES = 16 << 20;
/** A veth pair delivers within microseconds, on a busy machine when its task gets its turn: none comes after so long a silence. */
const SILENCE_MS = 250;
const NAP_MS = 1;
const NAP = new Int32Array(new SharedArrayBuffer(4));

/** A socket in a namespace, bound to `address`; sends to `peer` when one is given. */
export class Datagrams {
  readonly #fd: Fd;

  constructor(namespace: Namespace, address: string, peer?: string) {
    const local = parseAddress(address);
    this.#fd = inNetworkNamespace(namespace.path, () => socket(familyOf(local), SOCK_DGRAM));
    setsockoptInt(this.#fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BYTES);
    bind(this.#fd, local);
    if (peer !== undefined) connect(this.#fd, parseAddress(peer));
  }

  send(): void {
    send(this.#fd, PACKET_ADDRESS, PACKET.length);
  }

  /** How many have come and not been counted yet. */
  drain(): number {
    let count = 0;
    while (recv(this.#fd, RECEIVED_ADDRESS, RECEIVED.length) >= 0) count++;
    return count;
  }

  /** Waits until `count` have come, or none could be under way any more; answers how many came. */
  drainUpTo(count: number): number {
    let found = this.drain();
    for (let silent = performance.now(); found < count && performance.now() - silent < SILENCE_MS;) {
      // The task that delivers may want this very CPU.
      Atomics.wait(NAP, 0, 0, NAP_MS);
      const more = this.drain();
      if (more > 0) silent = performance.now();
      found += more;
    }
    return found + this.drain();
  }

  close(): void {
    close(this.#fd);
  }
}
