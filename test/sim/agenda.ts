/** What the ends of a simulation do at a time of their own: origins that answer late, clients that think. */
import type { FakeDriver } from "#io/fake/driver.ts";
import type { Random } from "#io/fake/random.ts";
import { Schedule } from "#io/fake/schedule.ts";

export class Agenda {
  readonly #driver: FakeDriver;
  readonly #schedule: Schedule;

  constructor(driver: FakeDriver, random: Random) {
    this.#driver = driver;
    this.#schedule = new Schedule(random);
  }

  get nextMs(): number {
    return this.#schedule.nextMs;
  }

  after(ms: number, run: () => void): void {
    this.#schedule.add(this.#driver.nowMs + ms, run);
  }

  /** Does what is due; answers how much that was. */
  work(): number {
    const due = this.#schedule.due(this.#driver.nowMs);
    for (const run of due) run();
    return due.length;
  }
}
