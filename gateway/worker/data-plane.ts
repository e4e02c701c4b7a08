/**
 * The data plane of one worker: loop, buffers and listeners, and the engine in force. A snapshot is prepared aside and put
 * into force between two turns; exchanges under way end on the engine they began with.
 */
import { asFd, type Fd } from "#core/brands.ts";
import { HttpDate } from "#http/date.ts";
import type { Driver } from "#io/driver.ts";
import { Loop } from "#io/loop.ts";
import type { Timed } from "#io/timers.ts";
import { newTrailers } from "#http/trailers.ts";
import { WriteGather } from "#net/gather.ts";
import { TlsRecords } from "#net/tls/records.ts";
import { Listener, type Peer } from "#net/listener.ts";
import { AccessLog } from "#observe/access-log.ts";
import { CONNECTIONS_OPEN, Counters } from "#observe/counters.ts";
import { Tap } from "#observe/tap.ts";
import { Meters } from "#observe/meters.ts";
import { StreamCounters } from "#observe/stream-counters.ts";
import { HeadPool } from "#pipeline/http/head-pool.ts";
import { ClientConnections } from "#proxy/client-connections.ts";
import { createWorkspace, type ListenerContext, type WorkerContext } from "#proxy/context.ts";
import type { Engine } from "#proxy/engine.ts";
import { ExchangePool } from "#proxy/exchange-pool.ts";
import { headScratch } from "#proxy/head-scratch.ts";
import { OUTCOMES } from "#proxy/outcomes.ts";
import { STREAM_OUTCOMES } from "#proxy/stream/outcomes.ts";
import { close as closeDescriptor, IPPROTO_TCP, setsockoptInt, TCP_NODELAY } from "#sys/socket.ts";
import { UdpListener } from "#proxy/stream/udp-listener.ts";
import { upstreamReadings } from "#upstream/readings.ts";
import { Endpoints } from "#upstream/endpoints.ts";
import { connectionHandler, speaksOtherwise } from "./connection-handler.ts";
import { throttled } from "./log-throttle.ts";
import type { Sockmap } from "#proxy/stream/sockmap.ts";
import type { ListenerGrant } from "./protocol.ts";
import { ownArea, type SharedArea } from "./shared-area.ts";

/** How often a partly filled access log buffer is written. */
const LOG_FLUSH_MS = 200;
/** Until a ban is enforced on connections that are open: the answer that came with it leaves first, and many are one sweep. */
const BAN_MS = 100;

/** What is asked of the kernel's side; replaced with each snapshot. */
export interface KernelView {
  originalOf(peer: Peer, fd: number, protocol: "tcp" | "udp"): string | null;
  leadsTo(memory: Uint8Array, at: number, destination: Uint8Array | null): boolean;
  /** Absent, or null: nothing is spliced. */
  readonly sockmap?: Sockmap | null;
  banned(peer: Pick<Peer, "ipBytes">): boolean;
}

const NO_KERNEL: KernelView = { originalOf: () => null, leadsTo: () => true, banned: () => false };

interface Serving {
  readonly grant: ListenerGrant;
  readonly context: ListenerContext;
  readonly listener: Listener | UdpListener;
}

export class DataPlane {
  readonly loop: Loop;
  readonly driver: Driver;
  readonly context: WorkerContext;
  readonly #exchanges: ExchangePool;
  readonly #gather = new WriteGather();
  /** By descriptor tag. */
  readonly #serving = new Map<number, Serving>();
  #kernel: KernelView = NO_KERNEL;
  #engine: Engine | null = null;
  readonly #sweep: Timed;

  /** `workers`: how many there are of its kind. `clock`: of a simulation, in milliseconds; else the machine's. `log`: lines for the operator. `shared`: with the other workers. */
  constructor(
    driver: Driver,
    logFd: number,
    clock?: () => number,
    log: (line: string) => void = () => {},
    workers = 1,
    shared: SharedArea = ownArea(),
  ) {
    this.driver = driver;
    this.loop = new Loop(driver, clock);
    const { buffers } = driver;
    const scratch = headScratch(buffers);
    this.context = {
      loop: this.loop,
      buffers,
      gather: this.#gather,
      scratch,
      trailers: new HeadPool(scratch, newTrailers),
      date: new HttpDate(this.loop),
      endpoints: new Endpoints({ loop: this.loop, gather: this.#gather, scratch }, workers),
      clients: new ClientConnections(shared.connections),
      counters: new Counters(
        OUTCOMES.map((one) => one.code),
        shared.metrics,
      ),
      meters: new Meters(shared.metrics),
      streams: new StreamCounters(STREAM_OUTCOMES, shared.metrics),
      accessLog: this.#accessLog(logFd),
      tap: new Tap(),
      tls: new TlsRecords(this.loop),
      log: throttled(log, () => this.loop.nowMs),
      workspace: createWorkspace(buffers),
      originalOf: (peer, fd, protocol = "tcp") => this.#kernel.originalOf(peer, fd, protocol),
      leadsTo: (memory, at, destination) => this.#kernel.leadsTo(memory, at, destination),
      sockmap: () => this.#kernel.sockmap ?? null,
      banned: (peer) => this.#kernel.banned(peer),
    };
    this.#exchanges = new ExchangePool(this.context);
    this.#sweep = timed(() => this.#expelBanned());
    this.loop.beforeTurn = () => this.#gather.flush();
  }

  get engine(): Engine | null {
    return this.#engine;
  }

  /** Clients' connections, with tunnels, TLS handshakes and those of listeners that are no more. */
  get connections(): number {
    return (this.context.counters.values[CONNECTIONS_OPEN] ?? 0) + this.context.tls.handshakes;
  }

  /** Puts a prepared engine into force: listeners that stay keep their connections, new ones open, others stop accepting. */
  commit(
    engine: Engine,
    grants: readonly ListenerGrant[],
    descriptors: ReadonlyMap<number, Fd>,
    kernel: KernelView,
  ): void {
    this.#kernel = kernel;
    const wanted = new Set(grants.map((grant) => grant.fdTag));
    for (const [tag, serving] of this.#serving) if (!wanted.has(tag)) this.#stop(tag, serving);
    const before = this.#engine;
    this.#engine = engine;
    for (const grant of grants) {
      const serving = this.#serving.get(grant.fdTag);
      if (serving === undefined) this.#open(grant, engine, descriptors);
      else this.#move(serving, grant, engine);
    }
    const { accessLog: format, accessLogTemplate: template, accessLogPercent: percent } = engine.snapshot.settings;
    this.context.accessLog.configure({ format, template, percent });
    before?.deactivate();
    engine.activate();
    before?.release();
  }

  /**
   * Accepts no more and ends what is idle; what is under way ends in its own time. `gently`: what is idle may ask once more,
   * or stay until its own time is up: closing it could meet a request that is on its way.
   */
  drain(gently = false): void {
    for (const { listener, context } of this.#serving.values()) {
      listener.stop();
      context.draining = true;
      for (const connection of context.connections) connection.drain(gently);
      // Held open here, a socket that its new owner closes would go on listening, with nobody to accept.
      if (gently) listener.leave(() => closeDescriptor(listener.fd));
    }
    if (!gently) this.context.endpoints.drain();
  }

  /** A list of banned clients has changed: those who are connected are looked at soon. */
  bansChanged(): void {
    if (this.#sweep.wheelSlot >= 0) return;
    this.#sweep.deadlineMs = this.loop.nowMs + BAN_MS;
    this.loop.timers.watch(this.#sweep);
  }

  #expelBanned(): void {
    const banned = (ipBytes: Uint8Array): boolean => this.#kernel.banned({ ipBytes });
    for (const { context } of this.#serving.values()) {
      for (const connection of context.connections) connection.expel(banned);
    }
  }

  /** Of the listeners in force: accepts that failed, for want of descriptors mostly, and were tried again. */
  get #acceptErrors(): number {
    let sum = 0;
    for (const { listener } of this.#serving.values()) if (listener instanceof Listener) sum += listener.acceptErrors;
    return sum;
  }

  /** All there are. */
  counters(): Record<string, number> {
    const { counters, streams } = this.context;
    return { ...counters.read(), ...streams.read(), ...this.readings() };
  }

  /** What is not in memory that the supervisor reads by itself. */
  readings(): Record<string, number> {
    const { accessLog, buffers, tls } = this.context;
    return {
      access_log_dropped: accessLog.dropped,
      ...tls.counters.read(tls.handshakes),
      ...upstreamReadings(this.#engine?.upstreams ?? []),
      accept_errors: this.#acceptErrors,
      exchanges_open: this.#exchanges.taken,
      buffers_free: buffers.free,
      buffers_all: buffers.count,
    };
  }

  #open(grant: ListenerGrant, engine: Engine, descriptors: ReadonlyMap<number, Fd>): void {
    const fd = descriptors.get(grant.fdTag) ?? asFd(-1);
    const context: ListenerContext = {
      worker: this.context,
      index: grant.index,
      name: grant.name,
      transparent: engine.snapshot.listeners[grant.index]?.transparent ?? false,
      engine,
      meter: this.context.meters.listener(grant.name),
      connections: new Set(),
      draining: false,
      emptied: () => {},
    };
    const listener =
      engine.snapshot.listeners[grant.index]?.protocol === "udp"
        ? new UdpListener(fd, context)
        : this.#streamListener(grant, fd, context);
    this.#serving.set(grant.fdTag, { grant, context, listener });
    listener.start();
  }

  #streamListener(grant: ListenerGrant, fd: Fd, context: ListenerContext): Listener {
    // Accepted sockets inherit it: no call of our own for each connection.
    if (!grant.address.startsWith("unix:")) setsockoptInt(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    return new Listener(grant.name, fd, this.loop, this.#gather, connectionHandler(context, this.#exchanges));
  }

  #move(serving: Serving, grant: ListenerGrant, engine: Engine): void {
    const beforeIndex = serving.context.index;
    serving.context.index = grant.index;
    serving.context.name = grant.name;
    serving.context.meter = this.context.meters.listener(grant.name);
    serving.context.transparent = engine.snapshot.listeners[grant.index]?.transparent ?? false;
    const before = serving.context.engine.snapshot.listeners[beforeIndex];
    serving.context.engine = engine;
    const { listener } = serving;
    if (listener instanceof Listener && speaksOtherwise(before, engine.snapshot.listeners[grant.index])) {
      listener.handler = connectionHandler(serving.context, this.#exchanges);
    }
  }

  #stop(tag: number, serving: Serving): void {
    const { listener, context } = serving;
    listener.stop();
    this.#serving.delete(tag);
    context.draining = true;
    // Requests that are still coming in on its connections are served by the engine they know: it must not go before them.
    context.engine.retain();
    for (const connection of context.connections) connection.drain(false);
    listener.leave(() => {
      closeDescriptor(listener.fd);
      if (context.connections.size === 0) context.engine.release();
      else context.emptied = () => context.engine.release();
    });
  }

  /** Lines leave LOG_FLUSH_MS after the first of them, or when the buffer is full. */
  #accessLog(fd: number): AccessLog {
    const flush = timed(() => log.flush());
    const log = new AccessLog(fd, () => {
      flush.deadlineMs = this.loop.nowMs + LOG_FLUSH_MS;
      this.loop.timers.watch(flush);
    });
    return log;
  }
}

function timed(onDeadline: () => void): Timed {
  return { deadlineMs: Number.POSITIVE_INFINITY, wheelSlot: -1, wheelNext: null, wheelPrev: null, onDeadline };
}
