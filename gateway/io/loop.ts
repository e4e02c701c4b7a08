/**
 * One thread's event loop: the driver outside, libuv inside. Each turn submits, waits, dispatches, runs the timers that
 * are due, and gives libuv a chance: its descriptor is watched like any other, so IPC, promises of the thread pool and
 * module compilation wake the loop, and while none of them is ready a run of turns stays out of libuv altogether.
 *
 * Timers of the data plane stand in `timers`. Node's own timers do not make libuv's descriptor readable: while one is
 * active the wait is bounded by NODE_TIMER_WAIT_MS; one that is unref'd does not count. With nothing to do the loop sleeps
 * without bound, but not at once: see QUIET_SLEEPS.
 */
import type { Fd } from "#core/brands.ts";
import { uvBackendFd } from "#sys/uv.ts";
import type { Driver } from "./driver.ts";
import { TimerWheel } from "./timers.ts";

const NODE_TIMER_WAIT_MS = 20;

/**
 * Handles that are being closed end after the phase in which this loop runs, and nothing tells of them: to sleep in front
 * of one is to sleep for ever. So after libuv was at work the first sleeps are 0, 2, 4 … ms, until a second has shown it
 * to be quiet. Traffic alone, which libuv has no part in, does not begin this again.
 */
const QUIET_SLEEPS = 11;

/** Turns in a row before libuv gets its chance: its hand-over costs about half of what a request's own code does. */
const TURNS_IN_A_ROW = 8;

export class Loop {
  readonly driver: Driver;
  readonly timers: TimerWheel;
  /** Milliseconds of the monotonic clock, as of this turn: never from before a sleep. */
  nowMs: number;
  /** Counts turns: what happens under one number happens before the kernel hears of any of it. */
  turns = 0;
  readonly #clock: () => number;
  #running = false;
  /** libuv has work, or a callback of this turn has made some: leave the run of turns. */
  #yieldWanted = false;
  /** Sleeps since libuv was last seen at work, up to QUIET_SLEEPS. */
  #quietSleeps = 0;
  /** Called before the loop hands its work to the kernel: gathered writes leave here. */
  beforeTurn: () => void = () => {};
  readonly #turn = (): void => this.#run();

  /** `clock`: milliseconds of a monotonic clock; a simulation has its own. */
  constructor(driver: Driver, clock: () => number = monotonicMs) {
    this.driver = driver;
    this.#clock = clock;
    this.nowMs = clock();
    this.timers = new TimerWheel(this.nowMs);
    driver.woke = () => {
      this.nowMs = clock();
    };
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
    if (this.#yieldWanted) this.#quietSleeps = 0;
    this.#yieldWanted = false;
    this.nowMs = this.#clock();
    let count = 1;
    for (let i = 0; i < TURNS_IN_A_ROW && count > 0 && !this.#yieldWanted; i++) count = this.turn(0);
    // Sleeping is for when there is nothing to do: the last turn found nothing, and nobody has made work for libuv.
    if (count === 0 && !this.#yieldWanted && this.#running) this.turn(this.#waitMs());
    if (this.#running) setImmediate(this.#turn);
  }

  /** One turn, libuv left aside: by the loop itself, or by a simulation in its place. Answers what the driver dispatched. */
  turn(waitMs: number): number {
    this.beforeTurn();
    this.turns = (this.turns + 1) | 0;
    const count = this.driver.turn(waitMs);
    this.nowMs = this.#clock();
    this.timers.advance(this.nowMs);
    return count;
  }

  /** Asked only before a sleep: the question costs a microsecond and an array. */
  #waitMs(): number {
    const active = process.getActiveResourcesInfo();
    const wait = this.timers.nextWaitMs(this.#clock());
    // One that was queued behind this one would sleep as long as we do.
    const immediate = active.includes("Immediate");
    if (immediate || active.includes("Timeout")) {
      this.#quietSleeps = 0;
      return immediate ? 0 : atMost(NODE_TIMER_WAIT_MS, wait);
    }
    if (this.#quietSleeps === QUIET_SLEEPS) return wait;
    const boundMs = this.#quietSleeps === 0 ? 0 : 2 ** this.#quietSleeps;
    this.#quietSleeps++;
    return atMost(boundMs, wait);
  }
}

const monotonicMs = (): number => performance.now();

/** `waitMs` is −1 without bound. */
function atMost(boundMs: number, waitMs: number): number {
  return waitMs < 0 ? boundMs : Math.min(boundMs, waitMs);
}
