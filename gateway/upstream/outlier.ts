/**
 * Outlier ejection: an endpoint whose requests fail in a row is left out for a while, without a check having been asked.
 * Each ejection lasts longer than the one before, until a good time as long as the last one has passed.
 */
import type { OutlierDetectionSpec } from "#snapshot/snapshot.ts";
import type { Member } from "./member.ts";

export class OutlierDetection {
  readonly #spec: OutlierDetectionSpec;
  readonly #ejected: (member: Member, ms: number) => void;

  /** `ejected`: told of each ejection, for the counters. */
  constructor(spec: OutlierDetectionSpec, ejected: (member: Member, ms: number) => void) {
    this.#spec = spec;
    this.#ejected = ejected;
  }

  succeeded(member: Member): void {
    member.consecutiveErrors = 0;
  }

  /** `all`: the upstream's members, of whom only a part may be out at one time. */
  failed(member: Member, all: readonly Member[]): void {
    member.consecutiveErrors++;
    if (member.ejected || member.consecutiveErrors < this.#spec.consecutiveErrors) return;
    let out = 1;
    for (const one of all) if (one.ejected) out++;
    if (out * 100 > all.length * this.#spec.maxEjectionPercent) return;
    member.ejections++;
    const ms = this.#lasts(member);
    member.eject(ms, () => this.#back(member, ms));
    this.#ejected(member, ms);
  }

  /** What is left of an ejection that another process had begun. */
  resume(member: Member): void {
    const left = member.handedEjectionMs;
    if (left === 0) return;
    member.handedEjectionMs = 0;
    const whole = this.#lasts(member);
    member.eject(Math.min(left, whole), () => this.#back(member, whole));
  }

  /** The upstream has other members now: those that are out beyond its part come back, the first named first. */
  readmit(all: readonly Member[]): void {
    const outMax = Math.floor((all.length * this.#spec.maxEjectionPercent) / 100);
    let out = 0;
    for (const one of all) if (one.ejected) out++;
    for (const one of all) {
      if (out <= outMax) return;
      if (!one.ejected) continue;
      one.restore();
      out--;
    }
  }

  #lasts({ ejections }: Member): number {
    const { baseEjectionMs, maxEjectionMs } = this.#spec;
    return Math.min(baseEjectionMs * Math.max(1, ejections), maxEjectionMs);
  }

  /** It has the time of its ejection to show that it is well: then the next one is short again. */
  #back(member: Member, ms: number): void {
    const { ejections } = member;
    member.whenStill(ms, () => {
      if (member.ejections === ejections && !member.ejected) member.ejections = 0;
    });
  }
}
