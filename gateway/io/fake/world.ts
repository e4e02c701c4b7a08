/** Time and chance, shared by everything in one fake network. */
import type { Faults } from "./faults.ts";
import { Random } from "./random.ts";
import { Schedule } from "./schedule.ts";

export class World {
  faults: Faults;
  readonly random: Random;
  readonly schedule: Schedule;
  /** The virtual clock. Only the driver's `turn` moves it. */
  nowMs: number;

  constructor(seed: number, faults: Faults, nowMs: number) {
    this.faults = faults;
    this.random = new Random(seed);
    this.schedule = new Schedule(this.random);
    this.nowMs = nowMs;
  }

  /** When something sent now arrives. */
  arrivalMs(): number {
    return this.nowMs + this.faults.latencyMs + this.hesitationMs();
  }

  /** How long something possible is left undone: mostly not at all. */
  hesitationMs(): number {
    return this.random.chance(this.faults.delay) ? this.random.fraction() * this.faults.delayMs : 0;
  }
}
