/** What all ends of one simulation know together: the plans, what reached an origin, and everything that must not be. */
import type { Plan } from "./plan.ts";
import { mayRefuse, type Policies } from "./policies.ts";

export class Ledger {
  readonly plans = new Map<string, Plan>();
  readonly violations: string[] = [];
  /** Of the snapshots that have been in force. */
  readonly policies: Policies[] = [];
  /** How often a request's head has reached an origin, by tag. */
  readonly arrivals = new Map<string, number>();
  /** There is hardly any memory. */
  scarce = false;
  /** Address of the client that sends a tag. */
  readonly clients = new Map<string, string>();
  /** What happened, so that a run of many seeds can say that everything has. */
  readonly seen = new Map<string, number>();

  readonly #tell: (what: string) => void;

  /** `tell`: hears of everything that happens, for who looks into one seed. */
  constructor(tell: (what: string) => void = () => {}) {
    this.#tell = tell;
  }

  violation(what: string): void {
    this.violations.push(what);
    this.#tell(`VIOLATION ${what}`);
  }

  tell(what: string): void {
    this.#tell(what);
  }

  note(what: string): void {
    this.seen.set(what, (this.seen.get(what) ?? 0) + 1);
  }

  /** A snapshot that was in force tries again what is safe to do twice, bodies included. */
  get retries(): boolean {
    return this.policies.some(({ retry }) => retry !== undefined);
  }

  /** A snapshot that was in force has bounds, or checks, that may leave a request without an endpoint. */
  get refuses(): boolean {
    return this.policies.some(mayRefuse);
  }

  /** What a whole message has behind it, and what belongs there; without memory some may be missing, but none is another's. */
  checkTrailers(tag: string, came: readonly (readonly [string, string])[], wanted: readonly [string, string][]): void {
    const [all, expected] = [came.map((one) => one.join("=")).join(), wanted.map((one) => one.join("=")).join()];
    if (wanted.length > 0) this.note(wanted.length > came.length ? "trailers lost" : `trailers ${wanted.length}`);
    const mayLack = this.scarce && came.every(([name, value]) => expected.includes(`${name}=${value}`));
    if (all !== expected && !mayLack) this.violation(`${tag} has the trailers ${all}, not ${expected}`);
  }

  arrived(tag: string): number {
    const count = (this.arrivals.get(tag) ?? 0) + 1;
    this.arrivals.set(tag, count);
    return count;
  }
}
