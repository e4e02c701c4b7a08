/**
 * The send queue inside a Socket: regions (buffer, start, end) in a ring of triples that doubles when full. The queue
 * holds one reference to each region's buffer from `push` until `consume` or `clear`.
 */
import type { Buffers } from "./buffers.ts";
import type { Socket } from "./socket.ts";

/** Regions a fresh queue has room for: head and body of one message. Most sockets never need more. */
const FIRST_CAPACITY = 4;

/** As many as sockets send at one time in a busy worker. */
const SPARES_MAX = 4096;
const spares: Int32Array[] = [];
const NO_QUEUE = new Int32Array(0);

export function pushRegion(socket: Socket, buffers: Buffers, buffer: number, start: number, end: number): void {
  if (socket.queueLength * 3 === socket.queue.length) grow(socket);
  const queue = socket.queue;
  let at = (socket.queueHead + socket.queueLength) * 3;
  if (at >= queue.length) at -= queue.length;
  queue[at] = buffer;
  queue[at + 1] = start;
  queue[at + 2] = end;
  socket.queueLength++;
  socket.queuedBytes += end - start;
  socket.writtenBytes += end - start;
  buffers.retain(buffer);
}

/** Index into `socket.queue` of the region at `position` from the front. */
export function regionAt(socket: Socket, position: number): number {
  const at = (socket.queueHead + position) * 3;
  return at >= socket.queue.length ? at - socket.queue.length : at;
}

/** Takes `bytes` that are in the kernel now off the front. */
export function consumeRegions(socket: Socket, buffers: Buffers, bytes: number): void {
  const queue = socket.queue;
  socket.queuedBytes -= bytes;
  while (bytes > 0) {
    const at = socket.queueHead * 3;
    const start = queue[at + 1] as number;
    const length = (queue[at + 2] as number) - start;
    if (bytes < length) {
      queue[at + 1] = start + bytes;
      return;
    }
    bytes -= length;
    dropFirst(socket, buffers);
  }
}

/** Releases everything: the socket is closed and the kernel holds none of it. */
export function clearRegions(socket: Socket, buffers: Buffers): void {
  while (socket.queueLength > 0) dropFirst(socket, buffers);
  socket.queuedBytes = 0;
}

function dropFirst(socket: Socket, buffers: Buffers): void {
  buffers.release(socket.queue[socket.queueHead * 3] as number);
  socket.queueHead++;
  if (socket.queueHead * 3 === socket.queue.length) socket.queueHead = 0;
  socket.queueLength--;
  if (socket.queueLength === 0) putAway(socket);
}

/** An idle socket holds no queue: the small ones serve whoever sends next, the grown ones are dropped. */
function putAway(socket: Socket): void {
  if (socket.queue.length === FIRST_CAPACITY * 3 && spares.length < SPARES_MAX) spares.push(socket.queue);
  socket.queue = NO_QUEUE;
  socket.queueHead = 0;
}

function grow(socket: Socket): void {
  const old = socket.queue;
  if (old.length === 0) {
    socket.queue = spares.pop() ?? new Int32Array(FIRST_CAPACITY * 3);
    return;
  }
  const capacity = (old.length / 3) * 2;
  const queue = new Int32Array(capacity * 3);
  const first = socket.queueHead * 3;
  queue.set(old.subarray(first), 0);
  queue.set(old.subarray(0, first), old.length - first);
  socket.queue = queue;
  socket.queueHead = 0;
}
