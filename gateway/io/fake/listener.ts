/** A listening descriptor of the fake network: connections wait in it until somebody accepts. */
import { defined } from "#core/assert.ts";
import type { Listening } from "#io/driver.ts";
import type { End } from "./connection.ts";
import type { World } from "./world.ts";

/** A connection that waits: the driver's end of it, and the text of the client's address. */
export interface Waiting {
  readonly end: End;
  readonly from: string;
}

export class FakeListener {
  /** The accept that is running, or null. */
  listening: Listening | null = null;
  readonly #world: World;
  readonly #backlog: Waiting[] = [];
  #accept: () => void = () => {};

  constructor(world: World) {
    this.#world = world;
  }

  enqueue(waiting: Waiting): void {
    this.#backlog.push(waiting);
    if (this.listening !== null) this.again();
  }

  /** From now on `accept` is called in the schedule once for every connection; those that wait come first. */
  open(accept: () => void, listening: Listening): void {
    this.listening = listening;
    this.#accept = accept;
    for (let i = 0; i < this.#backlog.length; i++) this.again();
  }

  /** What waits is left for who opens next. */
  shut(): void {
    this.listening = null;
  }

  /** Plans one accept. */
  again(): void {
    const accept = this.#accept;
    this.#world.schedule.add(this.#world.arrivalMs(), accept);
  }

  take(): Waiting {
    return defined(this.#backlog.shift(), "waiting connection");
  }
}
