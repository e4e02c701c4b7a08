/**
 * Datagrams over readiness: when a socket is readable, one recvmmsg takes up to 32, and sends are calls of their own.
 * io_uring's multishot RECVMSG was the alternative: one completion a datagram and none of the calls, but its buffers must hold
 * the longest datagram (the arena's hold half of one), and sends would need theirs kept until they complete. One call for a
 * batch comes to the same under load, and both drivers share the code.
 *
 * All sockets of a driver receive into one table, one after the other; a datagram stays until its handler returns.
 *
 *     table   mmsghdr[32] | iovec[32] | slot[32]     slot: sockaddr 28 | our address 20 | pad | control 64 | data 64 KiB
 */
import { familyOf } from "#core/address.ts";
import { asFd, type Fd } from "#core/brands.ts";
import { EAGAIN, EINTR } from "#core/errno.ts";
import { IP_PKTINFO, IPV6_PKTINFO, MMSGHDR_BYTES, openDatagram, receivePacketInfo, recvmmsg } from "#sys/datagram.ts";
import { mapMemory, type Mapping } from "#sys/memory.ts";
import {
  AF_INET6,
  bindLocal,
  close,
  connect,
  getsockname,
  IPPROTO_IP,
  IPPROTO_IPV6,
  send,
  sendmsg,
} from "#sys/socket.ts";
import {
  ADDRESS_BYTES,
  DATAGRAM_BYTES_MAX,
  LOCAL_BYTES,
  type DatagramHandler,
  type DatagramSocket,
} from "./datagram.ts";

const BATCH = 32;
/** Fairness: batches a socket and turn; readiness tells of the rest in the next. */
const BATCHES_MAX = 4;

const IOVECS_AT = BATCH * MMSGHDR_BYTES;
const SLOTS_AT = IOVECS_AT + BATCH * 16;
const LOCAL_AT = ADDRESS_BYTES;
const CONTROL_AT = 64;
const CONTROL_BYTES = 64;
const DATA_AT = CONTROL_AT + CONTROL_BYTES;
const SLOT_BYTES = DATA_AT + DATAGRAM_BYTES_MAX;
/** One header, address and control message for what is sent. */
const SEND_AT = SLOTS_AT + BATCH * SLOT_BYTES;
const SEND_IOVEC_AT = SEND_AT + 64;
const SEND_NAME_AT = SEND_AT + 96;
const SEND_CONTROL_AT = SEND_AT + 128;
/** A datagram that was not received. */
const STAGE_AT = SEND_AT + 256;
const TABLE_BYTES = STAGE_AT + DATAGRAM_BYTES_MAX;

/** struct cmsghdr: length u64, level i32, type i32; struct in_pktinfo: index, our address, destination. */
const CMSG_HEADER = 16;
const PKTINFO_BYTES = 12;
const PKTINFO6_BYTES = 20;

export class DatagramTable {
  readonly mapping: Mapping;
  readonly memory: Uint8Array;
  readonly words: Int32Array;
  readonly base: number;

  constructor() {
    this.mapping = mapMemory(TABLE_BYTES);
    this.memory = new Uint8Array(this.mapping.bytes);
    this.words = new Int32Array(this.mapping.bytes);
    this.base = Number(this.mapping.address);
    for (let i = 0; i < BATCH; i++) {
      const slot = slotAt(i);
      this.#point(i * MMSGHDR_BYTES, slot);
      this.#point(i * MMSGHDR_BYTES + 16, IOVECS_AT + i * 16);
      this.words[(i * MMSGHDR_BYTES + 24) >> 2] = 1;
      this.#point(IOVECS_AT + i * 16, slot + DATA_AT);
      this.words[(IOVECS_AT + i * 16 + 8) >> 2] = DATAGRAM_BYTES_MAX;
    }
    this.#point(SEND_AT, SEND_NAME_AT);
    this.#point(SEND_AT + 16, SEND_IOVEC_AT);
    this.words[(SEND_AT + 24) >> 2] = 1;
  }

  /** Receives; `control`: with our own addresses. How many, or −errno. */
  receive(fd: number, control: boolean): number {
    // The kernel writes these lengths: they are set before each call.
    for (let i = 0; i < BATCH; i++) {
      const header = i * MMSGHDR_BYTES;
      this.words[(header + 8) >> 2] = ADDRESS_BYTES;
      this.words[(header + 40) >> 2] = control ? CONTROL_BYTES : 0;
      if (control) this.#point(header + 32, slotAt(i) + CONTROL_AT);
    }
    return recvmmsg(fd, this.base, BATCH);
  }

  lengthOf(i: number): number {
    return this.words[(i * MMSGHDR_BYTES + 56) >> 2] as number;
  }

  addressBytesOf(i: number): number {
    return this.words[(i * MMSGHDR_BYTES + 8) >> 2] as number;
  }

  /** Writes our address of datagram `i` to its slot: 16 bytes and the interface; zeros where the kernel has not told. */
  readLocal(i: number): void {
    const slot = slotAt(i);
    const local = slot + LOCAL_AT;
    this.memory.fill(0, local, local + LOCAL_BYTES);
    const bytes = this.words[(i * MMSGHDR_BYTES + 40) >> 2] as number;
    const control = slot + CONTROL_AT;
    if (bytes < CMSG_HEADER + PKTINFO_BYTES) return;
    const level = this.words[(control + 8) >> 2];
    const type = this.words[(control + 12) >> 2];
    const body = control + CMSG_HEADER;
    if (level === IPPROTO_IP && type === IP_PKTINFO) {
      this.memory[local + 10] = 0xff;
      this.memory[local + 11] = 0xff;
      // `ipi_spec_dst`: where the packet went to, or for a broadcast the address of ours that may answer it.
      this.memory.copyWithin(local + 12, body + 4, body + 8);
      this.memory.copyWithin(local + 16, body, body + 4);
    } else if (level === IPPROTO_IPV6 && type === IPV6_PKTINFO) {
      this.memory.copyWithin(local, body, body + PKTINFO6_BYTES);
    }
  }

  /** One datagram of this table's memory. `from`: null, or one of our addresses. Bytes, or −errno. */
  sendTo(fd: number, family: number, start: number, end: number, to: Uint8Array, from: Uint8Array | null): number {
    this.#point(SEND_IOVEC_AT, start);
    this.words[(SEND_IOVEC_AT + 8) >> 2] = end - start;
    this.memory.set(to, SEND_NAME_AT);
    this.words[(SEND_AT + 8) >> 2] = to.length;
    const control = from === null ? 0 : this.#writeLocal(family, from);
    this.words[(SEND_AT + 40) >> 2] = control;
    if (control > 0) this.#point(SEND_AT + 32, SEND_CONTROL_AT);
    else this.words.fill(0, (SEND_AT + 32) >> 2, (SEND_AT + 40) >> 2);
    return sendmsg(fd, this.base + SEND_AT);
  }

  /** An IPv6 socket takes mapped addresses in its own form. The interface is left to routing, as it is for a reply. */
  #writeLocal(family: number, from: Uint8Array): number {
    const words = this.words;
    const ipv6 = family === AF_INET6;
    const bytes = CMSG_HEADER + (ipv6 ? PKTINFO6_BYTES : PKTINFO_BYTES);
    words[SEND_CONTROL_AT >> 2] = bytes;
    words[(SEND_CONTROL_AT + 4) >> 2] = 0;
    words[(SEND_CONTROL_AT + 8) >> 2] = ipv6 ? IPPROTO_IPV6 : IPPROTO_IP;
    words[(SEND_CONTROL_AT + 12) >> 2] = ipv6 ? IPV6_PKTINFO : IP_PKTINFO;
    const body = SEND_CONTROL_AT + CMSG_HEADER;
    this.memory.fill(0, body, body + PKTINFO6_BYTES);
    if (ipv6) {
      this.memory.set(from.subarray(0, 16), body);
      // A link-local address means nothing without its interface.
      if (from[0] === 0xfe && ((from[1] as number) & 0xc0) === 0x80) this.memory.set(from.subarray(16, 20), body + 16);
    } else {
      this.memory.set(from.subarray(12, 16), body + 4);
    }
    // CMSG_SPACE: rounded up to a multiple of eight.
    return bytes + 4;
  }

  dispose(): void {
    this.mapping.unmap();
  }

  #point(at: number, target: number): void {
    const address = this.base + target;
    this.words[at >> 2] = address | 0;
    this.words[(at >> 2) + 1] = Math.floor(address / 0x1_0000_0000);
  }
}

function slotAt(i: number): number {
  return SLOTS_AT + i * SLOT_BYTES;
}

/** What the two drivers do in the same way: tell when a descriptor is readable. */
export interface Watcher {
  watch(fd: Fd, ready: () => void): void;
  unwatch(fd: Fd): void;
}

export class KernelDatagrams implements DatagramSocket {
  readonly fd: Fd;
  readonly memory: Uint8Array;
  start = 0;
  end = 0;
  addressStart = 0;
  addressBytes = 0;
  localStart = 0;
  readonly #table: DatagramTable;
  readonly #watcher: Watcher;
  readonly #handler: DatagramHandler;
  readonly #owned: boolean;
  readonly #family: number;
  readonly #wildcard: boolean;
  #open = true;

  /** `owned`: the descriptor is closed with it. */
  constructor(fd: Fd, owned: boolean, table: DatagramTable, watcher: Watcher, handler: DatagramHandler) {
    this.fd = fd;
    this.memory = table.memory;
    this.#table = table;
    this.#watcher = watcher;
    this.#handler = handler;
    this.#owned = owned;
    const own = getsockname(fd);
    this.#family = familyOf(own);
    this.#wildcard =
      !owned &&
      own.subarray(this.#family === AF_INET6 ? 8 : 4, this.#family === AF_INET6 ? 24 : 8).every((byte) => byte === 0);
    if (this.#wildcard) receivePacketInfo(fd, this.#family);
    watcher.watch(fd, () => this.#receive());
  }

  stage(bytes: Uint8Array): number {
    this.memory.set(bytes, STAGE_AT);
    return STAGE_AT;
  }

  send(_from: DatagramSocket, start: number, end: number): number {
    return send(this.fd, this.#table.base + start, end - start);
  }

  sendTo(_from: DatagramSocket, start: number, end: number, to: Uint8Array, from: Uint8Array | null): number {
    return this.#table.sendTo(this.fd, this.#family, start, end, to, this.#wildcard ? from : null);
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#watcher.unwatch(this.fd);
    if (this.#owned) close(this.fd);
  }

  #receive(): void {
    for (let i = 0; i < BATCHES_MAX; i++) {
      const count = this.#table.receive(this.fd, this.#wildcard);
      if (count < 0) {
        if (count !== -EAGAIN && count !== -EINTR) this.#handler.onDatagramError(this, -count);
        return;
      }
      for (let each = 0; each < count && this.#open; each++) this.#deliver(each);
      if (count < BATCH || !this.#open) return;
    }
  }

  #deliver(i: number): void {
    const slot = slotAt(i);
    this.start = slot + DATA_AT;
    this.end = this.start + this.#table.lengthOf(i);
    this.addressStart = slot;
    this.addressBytes = this.#table.addressBytesOf(i);
    this.localStart = slot + LOCAL_AT;
    // Behind a shorter address stands what was there before.
    this.memory.fill(0, slot + this.addressBytes, slot + ADDRESS_BYTES);
    if (this.#wildcard) this.#table.readLocal(i);
    else this.memory.fill(0, this.localStart, this.localStart + LOCAL_BYTES);
    this.#handler.onDatagram(this);
  }
}

/** A socket connected to `address`, in service; or −errno. */
export function connectDatagrams(
  address: Uint8Array,
  table: DatagramTable,
  watcher: Watcher,
  handler: DatagramHandler,
  local?: Uint8Array,
): DatagramSocket | number {
  const fd = openDatagram(familyOf(address));
  if (fd < 0) return fd;
  const unbound = local === undefined ? 0 : bindLocal(fd, local);
  const error = unbound === 0 ? connect(asFd(fd), address) : unbound;
  if (error === 0) return new KernelDatagrams(asFd(fd), true, table, watcher, handler);
  close(fd);
  return -error;
}
