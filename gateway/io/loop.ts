/**
 * One thread's event loop: the driver outside, libuv inside. Each turn submits, waits, dispatches, runs the timers that
 * are due, and gives libuv a chance: its descriptor is watched like any other, so IPC, promises of the thread pool and
 * module compilation wake the loop, and while none of them is ready a run of turns stays out of libuv altogether.
 *
 * Timers of the data plane stand in `timers`. Node's own timers do not make libuv's descriptor readable: while one is
 * active the wait is bounded by NODE_TIMER_WAIT_MS. With nothing to do the loop sleeps without bound.
 */
import type { Fd } from "#core/brands.ts";
import { uvBackendFd } from "#sys/uv.ts";
import type { Driver } from "./driver.ts";
import { TimerWheel } from "./timers.ts";

const NODE_TIMER_WAIT_MS = 20;

/** Turns in a row before libuv gets its chance: its hand-over costs about half of what a request's own code does. */
const TURNS_IN_A_ROW = 8;

export class Loop {
  readonly driver: Driver;
  readonly timers: TimerWheel;
  /** Milliseconds of the monotonic clock, as of this turn. */
  nowMs: number;
  #running = false;
  /** When libuv's timers were last asked for. */
  #askedMs = 0;
  /** libuv has work, or a callback of this turn has made some: leave the run of turns. */
  #yieldWanted = true;
  /** Called before the loop hands its work to the kernel: gathered writes leave here. */
  beforeTurn: () => void = () => {};
  readonly #turn = (): void => this.#run();

  constructor(driver: Driver) {
    this.driver = driver;
    this.nowMs = performance.now();
    this.timers = new TimerWheel(this.nowMs);
  }

  /** Must not be called while a module is being evaluated: libuv has not registered its descriptors by then. */
  start(): void {
    this.#running = true;
    this.driver.watch(uvBackendFd() as Fd, () => {
      this.#yieldWanted = true;
    });
    setImmediate(this.#turn);
  }

  /** Ends after this turn; the driver stays usable. */
  stop(): void {
    this.#running = false;
    this.driver.unwatch(uvBackendFd() as Fd);
  }

  /** For code that has queued a microtask or resolved a promise within a turn: let it run before the next wait. */
  yieldSoon(): void {
    this.#yieldWanted = true;
  }

  #run(): void {
    // The first turn after libuv's may wait: whatever promises were pending have run.
    this.#yieldWanted = false;
    this.#once(this.#waitMs());
    for (let i = 1; i < TURNS_IN_A_ROW && !this.#yieldWanted && this.#running; i++) {
      if (this.#once(0) === 0) break;
    }
    if (this.#running) setImmediate(this.#turn);
  }

  #once(waitMs: number): number {
    this.beforeTurn();
    const count = this.driver.turn(waitMs);
    this.nowMs = performance.now();
    this.timers.advance(this.nowMs);
    return count;
  }

  #waitMs(): number {
    const nowMs = performance.now();
    const wait = this.timers.nextWaitMs(nowMs);
    if (wait >= 0 && wait <= NODE_TIMER_WAIT_MS) return wait;
    // The question costs a microsecond and an array: under load ask seldom, and sleep briefly in between.
    if (nowMs - this.#askedMs < NODE_TIMER_WAIT_MS) return NODE_TIMER_WAIT_MS;
    this.#askedMs = nowMs;
    return process.getActiveResourcesInfo().includes("Timeout") ? NODE_TIMER_WAIT_MS : wait;
  }
}
