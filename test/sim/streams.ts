/**
 * One run of a data plane's streams over the fake network: TCP with a PROXY header to the upstream, tunnels behind an HTTP
 * upgrade and behind CONNECT, and UDP sessions. As in simulation.ts what happens is a function of the seed. What must hold:
 *
 *  - each end gets the other's bytes, in order, from the first on, and nobody else's;
 *  - an end in order follows the last byte; what is cut ends by a reset, so that nobody takes a part for the whole;
 *  - each direction ends for itself, whoever is first;
 *  - a datagram's answer goes to who sent it;
 *  - nothing is left behind.
 */
import type { Fd } from "#core/brands.ts";
import type { Arena } from "#io/arena.ts";
import { BUFFER_BYTES } from "#io/buffers.ts";
import { createFakeDriver, type FakeDriver } from "#io/fake/driver.ts";
import { CALM, ROUGH, STORMY } from "#io/fake/faults.ts";
import { Random } from "#io/fake/random.ts";
import { Engine } from "#proxy/engine.ts";
import type { Snapshot } from "#snapshot/snapshot.ts";
import { testRoute, testSnapshot } from "#test/support/snapshot.ts";
import { streamRoute } from "#test/support/stream-plane.ts";
import { DataPlane } from "#worker/data-plane.ts";
import { Ledger } from "./ledger.ts";
import type { Weather } from "./plan.ts";
import { PoisonedBuffers } from "./poisoned-buffers.ts";
import type { Outcome, SimulationOptions } from "./simulation.ts";
import { StreamEnd } from "./stream-end.ts";
import { StreamClient, StreamOrigin } from "./stream-peers.ts";
import { addressOf, drawStream, type StreamPlan } from "./stream-plan.ts";

const FAULTS = { calm: CALM, rough: ROUGH, stormy: STORMY };
const WEATHERS: readonly Weather[] = ["calm", "rough", "stormy"];
const ENDPOINTS = ["10.0.0.1:80", "10.0.0.2:80"];
const DATAGRAM_ENDPOINT = "10.0.0.3:53";
const LISTENERS = ["tcp", "http", "udp"] as const;
const BUFFERS = 256;
const TURNS_MAX = 200_000;
/** Longer than every timeout in force. */
const REST_MS = 2_000_000;
const UDP_IDLE_MS = 5000;

const memory = new ArrayBuffer(BUFFERS * BUFFER_BYTES);

export function simulateStreams(seed: number, options: SimulationOptions = {}): Outcome {
  const { random } = Math;
  const drawn = new Random(seed + 2 ** 43);
  Math.random = () => drawn.fraction();
  try {
    return new StreamSimulation(seed, options).run();
  } finally {
    Math.random = random;
  }
}

class StreamSimulation {
  readonly #seed: number;
  readonly #random: Random;
  readonly #weather: Weather;
  readonly #driver: FakeDriver;
  readonly #plane: DataPlane;
  readonly #ledger: Ledger;
  readonly #plans: readonly StreamPlan[];
  readonly #clients: StreamClient[] = [];
  readonly #fds: readonly Fd[];
  readonly #freeAtRest: number;
  #turns = 0;
  #revision = 0;
  /** All that clients send in this run, and those that have had their answer. */
  readonly #datagrams: number;
  #datagramsAnswered = 0;

  constructor(seed: number, { sabotage, tell }: SimulationOptions) {
    this.#seed = seed;
    this.#random = new Random(seed + 2 ** 42);
    const random = this.#random;
    this.#weather = WEATHERS[random.below(WEATHERS.length)] as Weather;
    const buffers = new PoisonedBuffers(memory);
    const arena: Arena = { buffers, address: 0n };
    const driver = createFakeDriver({ arena, seed, faults: FAULTS[this.#weather] });
    this.#driver = driver;
    this.#ledger = new Ledger(tell && ((what) => tell(`${driver.nowMs.toFixed(3)} ${what}`)));
    const ledger = this.#ledger;
    this.#plans = Array.from({ length: 1 + random.below(8) }, (_, name) => drawStream(random, name));
    this.#datagrams = random.below(20);
    for (const plan of this.#plans) ledger.tell(`planned ${JSON.stringify(plan)}`);
    this.#plane = new DataPlane(driver, -1, () => driver.nowMs);
    this.#freeAtRest = buffers.free;
    this.#fds = [driver.listen(), driver.listen(), driver.bindDatagrams()];
    for (const address of ENDPOINTS) {
      driver.serve(address, (peer) => {
        const make = (plan: StreamPlan): StreamEnd => new StreamEnd(plan, "origin", peer, ledger, driver, random);
        return new StreamOrigin(peer, this.#plans, ledger, make);
      });
    }
    driver.serveDatagrams(DATAGRAM_ENDPOINT, (bytes, reply) => reply(Buffer.concat([Buffer.from("got "), bytes])));
    sabotage?.(driver, random);
  }

  run(): Outcome {
    const { nowMs: beganMs } = this.#driver;
    this.#swap();
    this.#begin();
    this.#turnUntil(() => this.#clients.length === this.#plans.length, "the clients' coming");
    this.#turnUntil(() => this.#clients.every((client) => client.done), "the clients");
    this.#turnUntil(() => this.#datagramsAnswered >= this.#datagrams, "the datagrams");
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

  #begin(): void {
    const random = this.#random;
    const stormy = this.#weather === "stormy";
    for (const plan of this.#plans) {
      const fd = this.#fds[plan.kind === "tcp" ? 0 : 1] as Fd;
      this.#driver.after(random.below(2000), () => {
        this.#clients.push(new StreamClient(plan, fd, this.#driver, this.#ledger, random, stormy));
      });
    }
    for (let i = this.#datagrams; i > 0; i--) {
      this.#driver.after(random.below(3000), () => this.#sendDatagram(random.below(4), i));
    }
    if (random.chance(0.3)) this.#driver.after(random.below(1500), () => this.#swap());
  }

  #sendDatagram(client: number, number: number): void {
    const fd = this.#fds[2] as Fd;
    const text = `${client}.${number}`;
    this.#driver.sendDatagram(fd, Buffer.from(text), `${addressOf(100 + client)}:${3000 + client}`, (bytes) => {
      const answer = Buffer.from(bytes).toString("latin1");
      if (!answer.startsWith(`got ${client}.`)) this.#ledger.violation(`datagram client ${client} got ${answer}`);
      this.#datagramsAnswered++;
      this.#ledger.note("datagram answered");
    });
  }

  /** Another snapshot comes into force; streams stay on the one they began with. */
  #swap(): void {
    const snapshot = this.#snapshot();
    this.#ledger.tell(`swap, ${snapshot.upstreams[0]?.endpoints.length ?? 0} endpoints`);
    const engine = new Engine(snapshot, [], this.#plane.context.endpoints, () => this.#ledger.note("engine released"));
    const grants = LISTENERS.map((name, index) => ({ index, name, address: `unix:/${name}`, fdTag: index + 1 }));
    const kernel = { originalOf: () => null, leadsTo: () => true, banned: () => false };
    this.#plane.commit(engine, grants, new Map(this.#fds.map((fd, i) => [i + 1, fd])), kernel);
  }

  #snapshot(): Snapshot {
    const endpoints = ENDPOINTS.slice(0, 1 + this.#random.below(ENDPOINTS.length));
    const base = testSnapshot({ endpoints, upstream: { proxyProtocol: "v1" } });
    const [up] = base.upstreams;
    if (up === undefined) throw new Error("a snapshot has an upstream");
    const stream = { idleTimeoutMs: UDP_IDLE_MS, sessionsMax: 100 };
    const { proxyProtocol: _, ...plain } = up;
    return {
      ...base,
      revision: ++this.#revision,
      listeners: LISTENERS.map((name) => ({
        name,
        address: `unix:/${name}`,
        protocol: name,
        transparent: false,
        ...(name === "tcp" ? { stream: { ...stream, idleTimeoutMs: 600_000 } } : {}),
        ...(name === "udp" ? { stream } : {}),
      })),
      upstreams: [up, { ...plain, name: "dns", endpoints: [{ address: DATAGRAM_ENDPOINT, weight: 1 }] }],
      routes: [
        testRoute({ listeners: [1] }),
        ...(["tunnel", "forward"] as const).map((connect) => {
          const { match } = testRoute();
          return testRoute({ name: connect, listeners: [1], connect, match: { ...match, hosts: [`${connect}.test`] } });
        }),
      ],
      streamRoutes: [
        streamRoute(),
        streamRoute({
          name: "dns",
          listeners: [2],
          action: { kind: "upstream", split: [{ upstream: 1, weight: 1 }] },
        }),
      ],
    };
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
      streams: counters["tcp_streams_open"] ?? 0,
      sessions: counters["udp_sessions_open"] ?? 0,
      connections: this.#plane.connections,
      timers: this.#plane.loop.timers.watched,
      answers: this.#datagramsAnswered - this.#datagrams,
    };
    for (const [what, count] of Object.entries(left)) {
      if (count !== 0) this.#ledger.violation(`${count} ${what} are left behind`);
    }
  }
}
