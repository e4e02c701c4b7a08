/**
 * Health checks of L4 services: asks each endpoint in its interval, counts answers of one kind in a row, and says when an
 * endpoint became healthy or unhealthy. Of an endpoint that was not asked before the first verdict is told in any case:
 * the supervisor may know an older one, from before this process was started again.
 */
import type { ServiceCheckSpec, ServiceSpec } from "#snapshot/kernel.ts";
import { probe, type Target } from "./probes.ts";

export interface Verdict {
  /** By name. */
  readonly service: string;
  /** `10.0.0.1:53`, `[fd00::1]:53` */
  readonly endpoint: string;
  readonly healthy: boolean;
}

type Probe = typeof probe;

export class ServiceChecks {
  readonly #tell: (verdict: Verdict) => void;
  readonly #probe: Probe;
  readonly #checks = new Map<string, EndpointCheck>();

  constructor(tell: (verdict: Verdict) => void, ask: Probe = probe) {
    this.#tell = tell;
    this.#probe = ask;
  }

  /** What is to be checked from now on; what was checked before in the same way goes on as it was. */
  follow(services: readonly ServiceSpec[]): void {
    const wanted = new Map<string, () => EndpointCheck>();
    for (const { name, endpoints, healthCheck } of services) {
      if (healthCheck === undefined) continue;
      for (const { address, port } of endpoints) {
        const endpoint = address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
        const target = { address, port: healthCheck.port ?? port };
        const tell = (healthy: boolean): void => this.#tell({ service: name, endpoint, healthy });
        const key = JSON.stringify([name, endpoint, healthCheck]);
        wanted.set(key, () => new EndpointCheck(healthCheck, target, this.#probe, tell));
      }
    }
    for (const [key, check] of this.#checks) {
      if (wanted.has(key)) continue;
      check.stop();
      this.#checks.delete(key);
    }
    for (const [key, make] of wanted) if (!this.#checks.has(key)) this.#checks.set(key, make());
  }

  stop(): void {
    this.follow([]);
  }
}

class EndpointCheck {
  readonly #check: ServiceCheckSpec;
  readonly #target: Target;
  readonly #probe: Probe;
  readonly #tell: (healthy: boolean) => void;
  /** Null: no verdict yet. */
  #healthy: boolean | null = null;
  /** Answers in a row that speak against the verdict. */
  #against = 0;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(check: ServiceCheckSpec, target: Target, ask: Probe, tell: (healthy: boolean) => void) {
    this.#check = check;
    this.#target = target;
    this.#probe = ask;
    this.#tell = tell;
    void this.#ask();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  async #ask(): Promise<void> {
    const started = performance.now();
    const good = await this.#probe(this.#check, this.#target);
    if (this.#stopped) return;
    this.#answered(good);
    // From question to question, however long the answer took.
    const waitMs = Math.max(0, this.#check.intervalMs - (performance.now() - started));
    this.#timer = setTimeout(() => void this.#ask(), waitMs);
    this.#timer.unref();
  }

  #answered(good: boolean): void {
    if (good === this.#healthy) {
      this.#against = 0;
      return;
    }
    this.#against++;
    const { healthyThreshold, unhealthyThreshold } = this.#check;
    // An endpoint nobody has asked before is taken for healthy until it fails often enough, so one good answer confirms it.
    const needed = good ? (this.#healthy === null ? 1 : healthyThreshold) : unhealthyThreshold;
    if (this.#against < needed) return;
    this.#healthy = good;
    this.#against = 0;
    this.#tell(good);
  }
}
