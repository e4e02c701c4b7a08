/**
 * The sockets of relays that the kernel moves bytes between, in the maps of bpf/src/splice_maps.h. Each socket is told by its cookie.
 *
 *     splice_sockets   cookie → the other socket
 *     splice_taken     cookie → { bytes:64 | sent_before:64 }              ours
 *     splice_moved     cookie → { bytes:64 | seen:32 | begun:32 }          the program's
 *
 * The descriptors stay the caller's. Never throws: what the kernel refuses is not spliced.
 */
import type { Fd } from "#core/brands.ts";
import { asFd } from "#core/brands.ts";
import type { JoinedSockets, JoinEnd, Sockmap } from "#proxy/stream/sockmap.ts";
import { BPF_ANY, MapIo } from "#sys/bpf.ts";
import { addressOf } from "#sys/memory.ts";
import { getsockoptBytes, recv, SOL_SOCKET } from "#sys/socket.ts";
import { bytesReceived, bytesTaken } from "#sys/tcp-info.ts";

const COOKIE_BYTES = 8;
const STATE_BYTES = 16;
/** include/uapi/asm-generic/socket.h, include/linux/socket.h */
const SO_COOKIE = 57;
/** The io_uring driver's sockets block. */
const MSG_DONTWAIT = 0x40;

export interface SockmapDescriptors {
  readonly sockets: Fd;
  readonly taken: Fd;
  readonly moved: Fd;
}

interface Side extends JoinEnd {
  readonly cookie: Uint8Array;
}

export class KernelSockmap implements Sockmap {
  readonly #sockets: MapIo;
  readonly #taken: MapIo;
  readonly #moved: MapIo;

  constructor({ sockets, taken, moved }: SockmapDescriptors) {
    this.#sockets = new MapIo(sockets, COOKIE_BYTES, COOKIE_BYTES);
    this.#taken = new MapIo(taken, COOKIE_BYTES, STATE_BYTES);
    this.#moved = new MapIo(moved, COOKIE_BYTES, STATE_BYTES);
  }

  join(first: JoinEnd, second: JoinEnd): JoinedSockets | null {
    const [one, two] = [side(first), side(second)];
    if (one === null || two === null) return null;
    const joined = new KernelJoin(this, one, two);
    if (!this.#begin(one, two) || !this.#begin(two, one) || !this.#enter(one, two)) {
      joined.leave();
      return null;
    }
    // One whose peer has ended is refused. The other stays all the same: what has passed is lost with its place in the map. The
    // program lets everything pass for a socket that it finds no peer of.
    this.#enter(two, one);
    return joined;
  }

  #begin(from: Side, to: Side): boolean {
    this.#moved.key.set(from.cookie);
    this.#moved.value.fill(0);
    // What is on its way to the other goes first: no segment begins there, until it is said that all is in the kernel.
    return this.#moved.update(BPF_ANY) === 0 && this.take(from, to, to.busy ? -1 : 0);
  }

  take(from: Side, to: Side, bytes: number): boolean {
    const { key, value } = this.#taken;
    key.set(from.cookie);
    value.writeBigUInt64LE(BigInt.asUintN(64, BigInt(from.begin + bytes)), 0);
    value.writeBigUInt64LE(BigInt.asUintN(64, BigInt(to.written - from.begin)), 8);
    return this.#taken.update(BPF_ANY) === 0;
  }

  moved({ cookie }: Side): number {
    this.#moved.key.set(cookie);
    return this.#moved.lookup() === 0 ? Number(this.#moved.value.readBigUInt64LE(0)) : 0;
  }

  forget({ cookie }: Side): void {
    for (const map of [this.#sockets, this.#moved, this.#taken]) {
      map.key.set(cookie);
      map.delete();
    }
  }

  #enter(from: Side, to: Side): boolean {
    this.#sockets.key.set(from.cookie);
    this.#sockets.value.writeBigUInt64LE(BigInt(to.fd), 0);
    return this.#sockets.update(BPF_ANY) === 0;
  }
}

class KernelJoin implements JoinedSockets {
  readonly #sockmap: KernelSockmap;
  readonly #sides: readonly [Side, Side];

  constructor(sockmap: KernelSockmap, one: Side, two: Side) {
    this.#sockmap = sockmap;
    this.#sides = [one, two];
  }

  #of(index: number): { readonly from: Side; readonly to: Side } {
    const [one, two] = this.#sides;
    return index === 0 ? { from: one, to: two } : { from: two, to: one };
  }

  empty(index: number, bytes: number): void {
    const { from, to } = this.#of(index);
    this.#sockmap.take(from, to, bytes);
  }

  moved(index: number): number {
    return this.#sockmap.moved(this.#of(index).from);
  }

  inOrder(index: number, written: number, queued: number): boolean {
    const { from, to } = this.#of(index);
    return bytesTaken(to.fd) + queued >= to.written + written + this.#sockmap.moved(from);
  }

  whole(index: number, bytes: number): boolean {
    const { from } = this.#of(index);
    // One more is the FIN.
    return from.begin + bytes + this.#sockmap.moved(from) + 1 >= bytesReceived(from.fd);
  }

  receive(index: number, memory: Uint8Array, start: number, length: number): number {
    return recv(this.#of(index).from.fd, Number(addressOf(memory)) + start, length, MSG_DONTWAIT);
  }

  leave(): void {
    for (const each of this.#sides) this.#sockmap.forget(each);
  }
}

/** Null: no TCP socket. */
function side(end: JoinEnd): Side | null {
  if (bytesTaken(end.fd) < 0) return null;
  return { ...end, cookie: getsockoptBytes(asFd(end.fd), SOL_SOCKET, SO_COOKIE, COOKIE_BYTES) };
}
