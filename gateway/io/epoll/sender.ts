/**
 * Empties send queues into the kernel: one region by send(2), several by one sendmsg(2), so that a head and the body
 * buffer behind it leave together without being copied. The kernel copies what it takes during the call, so one message
 * header and one array of iovecs serve all sockets.
 *
 *     table   struct msghdr (56) | pad | iovec[64] at 64 (16 each)
 */
import { EINTR } from "#core/errno.ts";
import type { Arena } from "#io/arena.ts";
import type { Buffers } from "#io/buffers.ts";
import { consumeRegions, regionAt } from "#io/send-queue.ts";
import type { Socket } from "#io/socket.ts";
import { mapMemory, type Mapping } from "#sys/memory.ts";
import { send, sendmsg } from "#sys/socket.ts";

const IOVECS_AT = 64;
/** 64 buffers are 2 MiB, half of the largest send buffer Linux grows by itself (net.ipv4.tcp_wmem): more would only be refused. */
const IOVECS_MAX = 64;
const WORD_HIGH = 0x1_0000_0000;

export class Sender {
  readonly #buffers: Buffers;
  readonly #arenaBase: number;
  readonly #table: Mapping;
  readonly #tableBase: number;
  readonly #words: Int32Array;

  constructor(arena: Arena) {
    this.#buffers = arena.buffers;
    this.#arenaBase = Number(arena.address);
    this.#table = mapMemory(IOVECS_AT + IOVECS_MAX * 16);
    this.#tableBase = Number(this.#table.address);
    this.#words = new Int32Array(this.#table.bytes);
    const vectors = this.#tableBase + IOVECS_AT;
    this.#words[4] = vectors | 0;
    this.#words[5] = Math.floor(vectors / WORD_HIGH);
  }

  /**
   * Sends from the front of the queue until it is empty (0), the kernel takes no more (EAGAIN), or the connection is
   * broken (its errno).
   *
   * A partial send is followed by another that answers EAGAIN: only that promises an edge when there is room again.
   */
  drain(socket: Socket): number {
    while (socket.queueLength > 0) {
      const result = socket.queueLength === 1 ? this.#sendOne(socket) : this.#sendSeveral(socket);
      if (result >= 0) consumeRegions(socket, this.#buffers, result);
      else if (result !== -EINTR) return -result;
    }
    return 0;
  }

  dispose(): void {
    this.#table.unmap();
  }

  #sendOne(socket: Socket): number {
    const region = socket.queueHead * 3;
    const start = socket.queue[region + 1] as number;
    return send(socket.fd, this.#arenaBase + start, (socket.queue[region + 2] as number) - start);
  }

  #sendSeveral(socket: Socket): number {
    const words = this.#words;
    const count = Math.min(socket.queueLength, IOVECS_MAX);
    let vector = IOVECS_AT >> 2;
    for (let i = 0; i < count; i++) {
      const region = regionAt(socket, i);
      const start = socket.queue[region + 1] as number;
      const address = this.#arenaBase + start;
      words[vector] = address | 0;
      words[vector + 1] = Math.floor(address / WORD_HIGH);
      words[vector + 2] = (socket.queue[region + 2] as number) - start;
      vector += 4;
    }
    words[6] = count;
    return sendmsg(socket.fd, this.#tableBase);
  }
}
