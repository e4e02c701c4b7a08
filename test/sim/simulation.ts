/**
 * One run of a whole data plane over the fake network: the worker's own loop, connections, exchanges, filters and pools,
 * with virtual time. What happens is a function of the seed; what must hold is looked at at every end and once more when
 * everything has gone:
 *
 *  - each request is answered once, by its own answer, byte for byte, or its connection ends;
 *  - no byte reaches a stream that it does not belong to;
 *  - nothing is sent twice that must not be;
 *  - no buffer, socket, exchange or timer is left behind.
 */
import { type Fd } from "#core/brands.ts";
import type { Arena } from "#io/arena.ts";
import { BUFFER_BYTES } from "#io/buffers.ts";
import { createFakeDriver, type FakeDriver } from "#io/fake/driver.ts";
import { CALM, type Faults, ROUGH, STORMY } from "#io/fake/faults.ts";
import { Random } from "#io/fake/random.ts";
import { Engine } from "#proxy/engine.ts";
import { testSnapshot } from "#test/support/snapshot.ts";
import { DataPlane } from "#worker/data-plane.ts";
import { Client } from "./client.ts";
import { Ledger } from "./ledger.ts";
import { Origin } from "./origin.ts";
import { drawPlan, type Plan, type Weather } from "./plan.ts";
import { drawPolicies } from "./policies.ts";
import { PoisonedBuffers } from "./poisoned-buffers.ts";
import { ThinkingFilter } from "./thinking-filter.ts";

export interface Outcome {
  readonly seed: number;
  readonly weather: Weather;
  readonly violations: readonly string[];
  readonly seen: ReadonlyMap<string, number>;
  readonly virtualMs: number;
  readonly turns: number;
}

export interface SimulationOptions {
  /** Between the gateway and its driver: what a canary breaks. */
  readonly sabotage?: (driver: FakeDriver, random: Random) => void;
  /** Hears the story, a line an event. */
  readonly tell?: (line: string) => void;
}

const FAULTS: Readonly<Record<Weather, Faults>> = { calm: CALM, rough: ROUGH, stormy: STORMY };
const WEATHERS: readonly Weather[] = ["calm", "rough", "stormy"];
const ENDPOINTS = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"];

/** 8 MiB serve the clients of one run with room to spare; with few of them the bound itself is met. */
const BUFFERS = 256;
const BUFFERS_SCARCE = 24;

const TURNS_MAX = 200_000;
/** Longer than every timeout in force. */
const REST_MS = 200_000;

/** All runs use one memory, each with its own books. */
const memory = new ArrayBuffer(BUFFERS * BUFFER_BYTES);

export function simulate(seed: number, options: SimulationOptions = {}): Outcome {
  // Balancers and checks draw too: what they draw is the seed's, or no run could be told again.
  const { random } = Math;
  const drawn = new Random(seed + 2 ** 41);
  Math.random = () => drawn.fraction();
  try {
    return new Simulation(seed, options).run();
  } finally {
    Math.random = random;
  }
}

class Simulation {
  readonly #seed: number;
  readonly #random: Random;
  readonly #weather: Weather;
  readonly #driver: FakeDriver;
  readonly #plane: DataPlane;
  readonly #ledger: Ledger;
  readonly #clients: Client[] = [];
  readonly #fd: Fd;
  /** Buffers of a plane that has served nobody. */
  readonly #freeAtRest: number;
  readonly #filters: boolean;
  readonly #failures: number;
  /** No change comes any more. */
  #ending = false;
  #turns = 0;
  #revision = 0;

  constructor(seed: number, { sabotage, tell }: SimulationOptions) {
    this.#seed = seed;
    // Another sequence than the driver's: what the ends do must not change when a fault is switched off.
    this.#random = new Random(seed + 2 ** 40);
    const random = this.#random;
    this.#weather = WEATHERS[random.below(WEATHERS.length)] as Weather;
    this.#filters = random.chance(0.5);
    this.#failures = random.chance(0.5) ? 0.2 : 0;
    const scarce = this.#weather === "stormy" && random.chance(0.2);
    const buffers = new PoisonedBuffers(scarce ? memory.slice(0, BUFFERS_SCARCE * BUFFER_BYTES) : memory);
    const arena: Arena = { buffers, address: 0n };
    this.#driver = createFakeDriver({ arena, seed, faults: FAULTS[this.#weather] });
    const driver = this.#driver;
    this.#ledger = new Ledger(tell && ((what) => tell(`${driver.nowMs.toFixed(3)} ${what}`)));
    this.#ledger.scarce = scarce;
    this.#plane = new DataPlane(driver, -1, () => driver.nowMs);
    this.#freeAtRest = buffers.free;
    this.#fd = driver.listen();
    for (const address of ENDPOINTS) driver.serve(address, (peer) => new Origin(peer, this.#ledger, this.#driver));
    sabotage?.(driver, random);
  }

  run(): Outcome {
    const { nowMs: beganMs } = this.#driver;
    this.#swap();
    this.#admitClients();
    this.#turnUntil(() => this.#clients.every((client) => client.done), "the clients");
    this.#ending = true;
    // One that checks nobody, as checks go on for as long as their snapshot is in force.
    this.#swap({});
    this.#plane.drain();
    const restUntil = this.#driver.nowMs + REST_MS;
    this.#turnUntil(() => this.#atRest() || this.#driver.nowMs >= restUntil, "the rest");
    this.#checkRest();
    return {
      seed: this.#seed,
      weather: this.#weather,
      violations: this.#ledger.violations,
      seen: this.#ledger.seen,
      virtualMs: this.#driver.nowMs - beganMs,
      turns: this.#turns,
    };
  }

  #admitClients(): void {
    const random = this.#random;
    const count = 1 + random.below(8);
    for (let name = 0; name < count; name++) {
      const plans = this.#draw(name);
      for (const plan of plans) {
        this.#ledger.plans.set(plan.tag, plan);
        this.#ledger.tell(`planned ${JSON.stringify(plan)}`);
      }
      const options = {
        name,
        plans,
        weather: this.#weather,
        pipelined: random.chance(0.4),
        halfClose: random.chance(0.1),
        leavesAfter: random.chance(0.1) ? random.below(10) : Number.POSITIVE_INFINITY,
        slow: random.chance(0.2),
      };
      this.#driver.after(random.chance(0.5) ? 0 : random.below(3000), () => {
        this.#clients.push(new Client(options, this.#driver, this.#fd, this.#ledger, random));
      });
    }
    if (random.chance(0.3))
      this.#driver.after(random.below(2000), () => {
        if (!this.#ending) this.#swap();
      });
    this.#turnUntil(() => this.#clients.length === count, "the clients' coming");
  }

  #draw(client: number): Plan[] {
    const random = this.#random;
    return Array.from({ length: 1 + random.below(6) }, (_, i) =>
      drawPlan(random, `${client}.${i}`, this.#weather, this.#failures, this.#filters),
    );
  }

  /** Another snapshot comes into force; what is under way ends on the one before. */
  #swap(policies = this.#random.chance(0.5) ? drawPolicies(this.#random) : {}): void {
    const { random, plane } = { random: this.#random, plane: this.#plane };
    const endpoints = ENDPOINTS.slice(0, 1 + random.below(ENDPOINTS.length));
    this.#ledger.policies.push(policies);
    const snapshot = testSnapshot({ endpoints, listener: "unix:/simulated", upstream: policies });
    const filters = this.#filters ? [new ThinkingFilter(this.#ledger, this.#driver)] : [];
    this.#ledger.tell(`swap, ${endpoints.length} endpoints, ${JSON.stringify(policies)}`);
    const engine = new Engine({ ...snapshot, revision: ++this.#revision }, [filters], plane.context.endpoints, () => {
      this.#ledger.note("engine released");
    });
    const grant = { index: 0, name: "web", address: "unix:/simulated", fdTag: 1 };
    const kernel = { originalOf: () => null, leadsTo: () => true, banned: () => false };
    plane.commit(engine, [grant], new Map([[1, this.#fd]]), kernel);
  }

  #turnUntil(done: () => boolean, what: string): void {
    const { loop } = this.#plane;
    const driver = this.#driver;
    while (!done()) {
      const wait = loop.timers.nextWaitMs(driver.nowMs);
      const stuck = wait < 0 && driver.idle;
      loop.turn(wait);
      if (!stuck && ++this.#turns < TURNS_MAX) continue;
      const states = this.#clients.map((client) => client.state).join("; ");
      this.#ledger.violation(`${what} never came to an end${stuck ? ": nothing will happen any more" : ""}; ${states}`);
      return;
    }
  }

  #atRest(): boolean {
    return this.#driver.openSockets === 0 && this.#plane.loop.timers.watched === 0;
  }

  #checkRest(): void {
    const counters = this.#plane.counters();
    const left = {
      sockets: this.#driver.openSockets,
      buffers: this.#freeAtRest - this.#driver.buffers.free,
      exchanges: counters["exchanges_open"] ?? 0,
      connections: this.#plane.connections,
      timers: this.#plane.loop.timers.watched,
    };
    for (const [what, count] of Object.entries(left)) {
      if (count !== 0) this.#ledger.violation(`${count} ${what} are left behind`);
    }
  }
}
