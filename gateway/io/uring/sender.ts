/**
 * Sends over the ring: one operation in the kernel per socket, for as many queued regions as one takes. A single region
 * goes by SEND; several by SENDMSG with an iovec, so a head and the body buffer behind it leave in one system call
 * without being copied together.
 *
 * Message headers, iovecs and addresses stand in a side table, one slot a submission entry: the kernel copies them when
 * it takes the entry (IORING_FEAT_SUBMIT_STABLE), which is before the entry can be used again.
 *
 *     slot (256 bytes)   struct msghdr (56) | pad | iovec[8] at 64 (16 each)        or: struct sockaddr (≤ 128)
 */
import type { Arena } from "#io/arena.ts";
import type { Buffers } from "#io/buffers.ts";
import { consumeRegions, regionAt } from "#io/send-queue.ts";
import type { Socket } from "#io/socket.ts";
import { mapMemory, type Mapping } from "#sys/memory.ts";
import { OP_SEND, OP_SENDMSG, type Ring } from "./ring.ts";

const SLOT_BYTES = 256;
const IOVECS_AT = 64;
const IOVECS_MAX = 8;
const MSG_WAITALL = 0x100;
const MSG_NOSIGNAL = 0x4000;
const SEND_FLAGS = MSG_WAITALL | MSG_NOSIGNAL;

export class Sender {
  readonly #ring: Ring;
  readonly #buffers: Buffers;
  readonly #arenaBase: number;
  readonly #table: Mapping;
  readonly #tableBase: number;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #kind: number;

  /** `kind`: the upper half of user_data of its completions. */
  constructor(ring: Ring, arena: Arena, kind: number) {
    this.#ring = ring;
    this.#buffers = arena.buffers;
    this.#arenaBase = Number(arena.address);
    this.#table = mapMemory(ring.entries * SLOT_BYTES);
    this.#tableBase = Number(this.#table.address);
    this.#words = new Int32Array(this.#table.bytes);
    this.#bytes = new Uint8Array(this.#table.bytes);
    this.#kind = kind;
  }

  /** Starts to send what is queued; the queue must not be empty and no send under way. */
  arm(socket: Socket): void {
    if (socket.queueLength === 1) this.#armOne(socket);
    else this.#armSeveral(socket);
    socket.sendArmed = true;
    socket.pending++;
  }

  /** `bytes` of the queue are in the kernel. */
  consume(socket: Socket, bytes: number): void {
    consumeRegions(socket, this.#buffers, bytes);
  }

  /** Points the submission entry at a copy of a struct sockaddr; its length goes where CONNECT wants it. */
  writeAddress(at: number, address: Uint8Array): void {
    const slot = this.#slot(at);
    this.#bytes.set(address, slot);
    this.#pointTo(at + 4, this.#tableBase + slot);
    this.#ring.sqe[at + 2] = address.length;
  }

  dispose(): void {
    this.#table.unmap();
  }

  #armOne(socket: Socket): void {
    const sqe = this.#ring.sqe;
    const at = this.#ring.prepare(OP_SEND, socket.fd, socket.index, this.#kind);
    const region = socket.queueHead * 3;
    const start = socket.queue[region + 1] as number;
    this.#pointTo(at + 4, this.#arenaBase + start);
    sqe[at + 6] = (socket.queue[region + 2] as number) - start;
    sqe[at + 7] = SEND_FLAGS;
  }

  #armSeveral(socket: Socket): void {
    const sqe = this.#ring.sqe;
    const at = this.#ring.prepare(OP_SENDMSG, socket.fd, socket.index, this.#kind);
    const slot = this.#slot(at);
    const count = Math.min(socket.queueLength, IOVECS_MAX);
    const words = this.#words;
    let vector = (slot + IOVECS_AT) >> 2;
    for (let i = 0; i < count; i++) {
      const region = regionAt(socket, i);
      const start = socket.queue[region + 1] as number;
      const address = this.#arenaBase + start;
      words[vector] = address | 0;
      words[vector + 1] = Math.floor(address / 0x1_0000_0000);
      words[vector + 2] = (socket.queue[region + 2] as number) - start;
      words[vector + 3] = 0;
      vector += 4;
    }
    // struct msghdr: name and control are never set, so only the iovec's address and count are written.
    const header = slot >> 2;
    words.fill(0, header, header + 14);
    const vectors = this.#tableBase + slot + IOVECS_AT;
    words[header + 4] = vectors | 0;
    words[header + 5] = Math.floor(vectors / 0x1_0000_0000);
    words[header + 6] = count;
    this.#pointTo(at + 4, this.#tableBase + slot);
    sqe[at + 6] = 1;
    sqe[at + 7] = SEND_FLAGS;
  }

  /** Byte offset in the side table of the slot that belongs to the submission entry at word `at`. */
  #slot(at: number): number {
    return (at >> 4) * SLOT_BYTES;
  }

  #pointTo(word: number, address: number): void {
    this.#ring.sqe[word] = address | 0;
    this.#ring.sqe[word + 1] = Math.floor(address / 0x1_0000_0000);
  }
}
