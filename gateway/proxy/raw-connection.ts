/**
 * A connection of a filter's own to an endpoint of an upstream: bytes as they come, TLS where the upstream speaks it. What has come and was not
 * asked for yet is kept up to a bound; then the peer has to wait.
 */
import { Connection, HIGH_WATERMARK_BYTES, type Protocol } from "#net/connection.ts";
import type { RawConnection } from "#pipeline/connection.ts";
import { UPSTREAM_CONNECT_FAILURES, UPSTREAM_CONNECTS } from "#observe/counters.ts";
import type { Member } from "#upstream/member.ts";
import type { WorkerContext } from "./context.ts";
import type { Engine } from "./engine.ts";

/** Endpoints that are tried when one after the other can't be connected to. */
const TRIES_MAX = 3;
const KEPT_BYTES_MAX = 64 * 1024;

/** Never rejects: text says why there is no connection. */
export async function connectUpstream(
  worker: WorkerContext,
  engine: Engine,
  name: string,
  timeoutMs: number,
): Promise<RawConnection | string> {
  const upstream = engine.upstreamNamed(name);
  if (upstream === null) return "there is no such upstream any more";
  const tried: Member[] = [];
  const until = worker.loop.nowMs + timeoutMs;
  while (tried.length < TRIES_MAX) {
    const member = upstream.pick(null, "", tried);
    if (member === null) break;
    const leftMs = Math.min(upstream.timeouts.connectMs, until - worker.loop.nowMs);
    if (leftMs <= 0) return "no endpoint of the upstream accepted a connection in time";
    const dialled = new Dialled(worker, member);
    if (await dialled.connect(leftMs)) {
      upstream.succeeded(member);
      return dialled;
    }
    upstream.failed(member);
    tried.push(member);
  }
  return tried.length === 0 ? "the upstream has no endpoint" : "no endpoint of the upstream accepted a connection";
}

class Dialled implements RawConnection, Protocol {
  readonly #worker: WorkerContext;
  readonly #member: Member;
  readonly #connection: Connection;
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;
  #ended = false;
  #broken = false;
  #over = false;
  #connected: ((done: boolean) => void) | null = null;
  #waiting: (() => void) | null = null;

  constructor(worker: WorkerContext, member: Member) {
    this.#worker = worker;
    this.#member = member;
    this.#connection = new Connection(worker.loop, worker.gather);
  }

  connect(timeoutMs: number): Promise<boolean> {
    const { counters, loop } = this.#worker;
    counters.add(UPSTREAM_CONNECTS, 1);
    this.#member.endpoint.enter();
    this.#member.requests++;
    return new Promise((resolve) => {
      this.#connected = resolve;
      this.#member.endpoint.connectStream(this.#connection, this);
      this.#connection.expireBy(loop.nowMs + timeoutMs);
    });
  }

  send(bytes: Uint8Array): boolean {
    if (this.#over || this.#broken || this.#connection.queuedBytes > HIGH_WATERMARK_BYTES) return false;
    return this.#connection.writeCopy(bytes);
  }

  async receive(bytesMax: number, timeoutMs: number): Promise<Uint8Array | null> {
    if (this.#bytes === 0 && !this.#ended && !this.#broken) await this.#wait(timeoutMs);
    if (this.#bytes === 0) return this.#ended && !this.#broken ? new Uint8Array(0) : null;
    const taken = this.#take(bytesMax);
    if (!this.#over && !this.#broken && !this.#ended) this.#connection.resume();
    return taken;
  }

  close(): void {
    if (this.#over) return;
    this.#over = true;
    if (!this.#broken) this.#connection.close();
    this.#member.endpoint.leave();
    this.#wake();
  }

  // The connection.

  onConnected(error: number): void {
    if (error !== 0) {
      this.#failed();
      return;
    }
    this.#connection.deadlineMs = Number.POSITIVE_INFINITY;
    this.#connection.loop.timers.forget(this.#connection);
    this.#connection.resume();
    this.#settle(true);
  }

  onBytes(_buffer: number, start: number, end: number): void {
    this.#chunks.push(this.#connection.memory.slice(start, end));
    this.#bytes += end - start;
    if (this.#bytes > KEPT_BYTES_MAX) this.#connection.pause();
    this.#wake();
  }

  onEnd(): void {
    this.#ended = true;
    this.#wake();
  }

  onDrained(): void {}

  onBroken(): void {
    this.#broken = true;
    if (this.#connected !== null) this.#failed();
    else this.#wake();
  }

  onDeadline(): void {
    if (this.#connected !== null) this.#failed();
  }

  #failed(): void {
    this.#worker.counters.add(UPSTREAM_CONNECT_FAILURES, 1);
    this.close();
    this.#settle(false);
  }

  #settle(done: boolean): void {
    const connected = this.#connected;
    this.#connected = null;
    // Promise reactions run when the turn is over.
    this.#worker.loop.yieldSoon();
    connected?.(done);
  }

  #wait(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#wake(), timeoutMs);
      this.#waiting = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #wake(): void {
    const waiting = this.#waiting;
    if (waiting === null) return;
    this.#waiting = null;
    this.#worker.loop.yieldSoon();
    waiting();
  }

  #take(bytesMax: number): Uint8Array {
    const all = this.#chunks.length === 1 ? (this.#chunks[0] as Uint8Array) : Buffer.concat(this.#chunks);
    this.#chunks.length = 0;
    const taken = all.subarray(0, bytesMax);
    if (taken.length < all.length) this.#chunks.push(all.subarray(bytesMax));
    this.#bytes = all.length - taken.length;
    return taken;
  }
}
