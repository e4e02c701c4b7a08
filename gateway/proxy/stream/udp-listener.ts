/**
 * UDP on a bound socket: datagrams find their session by the client's address (and, on a wildcard address, by which of ours
 * it spoke to); one that finds none begins a session, if a route takes it. The descriptor is the supervisor's, one for
 * each worker: the kernel keeps a client with one of them (SO_REUSEPORT), over the lives of workers too.
 */
import { formatIp, ipOf, parseAddress, portOf } from "#core/address.ts";
import type { Fd } from "#core/brands.ts";
import { LOCAL_BYTES, type DatagramHandler, type DatagramSocket } from "#io/datagram.ts";
import type { Peer } from "#net/listener.ts";
import { CONNECTIONS_OPEN, CONNECTIONS_REFUSED } from "#observe/counters.ts";
import {
  UDP_DATAGRAMS_DROPPED,
  UDP_SESSIONS,
  UDP_SESSIONS_EVICTED,
  UDP_SESSIONS_OPEN,
} from "#observe/stream-counters.ts";
import { isShort } from "#proxy/admission.ts";
import type { Banned, Drainable, ListenerContext, WorkerContext } from "#proxy/context.ts";
import type { Engine } from "#proxy/engine.ts";
import type { StreamListenerSpec } from "#snapshot/snapshot.ts";
import * as outcomes from "./outcomes.ts";
import { SessionTable } from "./session-table.ts";
import { Opening } from "./opening.ts";
import { admit, type StreamRoute } from "./stream-route.ts";
import { Taps } from "./taps.ts";
import { StreamTarget } from "./target.ts";
import { OpeningSession } from "./opening-session.ts";
import { UdpSession, type SessionOrigin, type SessionOwner } from "./udp-session.ts";

/** What is under way when the worker leaves: how long an answer may take. */
const LAST_ANSWER_MS = 1000;

/** What a session is made of, once its filters have admitted it. */
interface Beginning {
  readonly engine: Engine;
  readonly route: StreamRoute;
  readonly opening: Opening;
  readonly origin: SessionOrigin;
  readonly original: string | null;
  readonly clientIp: string;
  readonly limits: StreamListenerSpec;
}

const NOTHING_CARRIED = { durationMs: 0, bytesReceived: 0, bytesSent: 0, endpoint: "" };

export class UdpListener implements DatagramHandler, SessionOwner, Drainable {
  readonly fd: Fd;
  readonly #listener: ListenerContext;
  readonly #sessions = new SessionTable<UdpSession>();
  /** Clients that a filter thinks about, by key. */
  readonly #opening = new Map<string, OpeningSession>();
  /** A view of the driver's memory for keys. */
  #text: Buffer | null = null;
  #receiving = false;
  #close: (() => void) | null = null;
  bound: DatagramSocket | null = null;

  constructor(fd: Fd, listener: ListenerContext) {
    this.fd = fd;
    this.#listener = listener;
  }

  get worker(): WorkerContext {
    return this.#listener.worker;
  }

  start(): void {
    this.bound = this.worker.loop.driver.datagrams(this.fd, this);
    this.#text = Buffer.from(this.bound.memory.buffer, this.bound.memory.byteOffset, this.bound.memory.byteLength);
    this.#receiving = true;
  }

  /** Takes no more from clients: what waits in the kernel is for the socket's next owner. Answers still go out. */
  stop(): void {
    this.bound?.close();
    this.#receiving = false;
    for (const opening of this.#opening.values()) opening.abandon();
    this.#opening.clear();
  }

  /** After `stop`: `close` once nobody has to be answered any more. */
  leave(close: () => void): void {
    this.#close = close;
    if (this.#sessions.size === 0) this.#closeIt();
  }

  #closeIt(): void {
    this.bound = null;
    this.#close?.();
    this.#close = null;
  }

  drain(): void {
    const until = this.worker.loop.nowMs + LAST_ANSWER_MS;
    for (const session of this.#sessions.all()) {
      if (!session.owed) {
        this.over(session, outcomes.CLOSED);
        continue;
      }
      session.deadlineMs = Math.min(session.deadlineMs, until);
      this.worker.loop.timers.watch(session);
    }
  }

  expel(banned: Banned): void {
    for (const session of this.#sessions.all()) {
      if (banned(ipOf(session.client))) this.over(session, outcomes.DENIED);
    }
  }

  onDatagram(socket: DatagramSocket): void {
    if (!this.#receiving) return;
    const text = this.#text as Buffer;
    const key = text.toString("latin1", socket.addressStart, socket.localStart + LOCAL_BYTES);
    let session = this.#sessions.get(key);
    if (session !== undefined && this.#listener.transparent && !this.#goesOn(session, socket)) {
      this.over(session, outcomes.CLOSED);
      session = undefined;
    }
    if (session === undefined) session = this.#begin(socket, key);
    else this.#sessions.touch(session);
    if (session !== undefined) session.forward(socket);
    else if (this.#opening.get(key)?.keep(socket) !== true) this.worker.streams.add(UDP_DATAGRAMS_DROPPED, 1);
  }

  /** Whether this datagram is of the client that the session is of, and not of one that has its port since. */
  #goesOn(session: UdpSession, { memory, addressStart }: DatagramSocket): boolean {
    return this.worker.leadsTo(memory, addressStart, session.steeredTo);
  }

  /** Of the bound socket: want of memory, mostly. The next datagram tries again. */
  onDatagramError(): void {
    this.worker.streams.add(UDP_DATAGRAMS_DROPPED, 1);
  }

  answered(session: UdpSession): void {
    this.#sessions.answer(session);
  }

  over(session: UdpSession, outcome: outcomes.StreamOutcome): void {
    if (this.#sessions.get(session.key) !== session) return;
    this.#sessions.remove(session);
    session.leave(outcome);
    session.target.count(-1);
    const { streams, counters } = this.worker;
    streams.add(UDP_SESSIONS_OPEN, -1);
    streams.ended(outcome);
    counters.add(CONNECTIONS_OPEN, -1);
    if (this.#sessions.size === 0) {
      if (this.#close !== null) this.#closeIt();
      this.#listener.connections.delete(this);
      if (this.#listener.connections.size === 0) this.#listener.emptied();
    }
    session.engine.release();
  }

  /** A session for a client that has none; undefined: it gets none, or not yet. */
  #begin(socket: DatagramSocket, key: string): UdpSession | undefined {
    if (this.#opening.has(key)) return undefined;
    const { engine, index, worker } = this.#listener;
    const spec = engine.snapshot.listeners[index]?.stream;
    const { memory, addressStart, localStart } = socket;
    const client = memory.slice(addressStart, addressStart + socket.addressBytes);
    const local = memory.slice(localStart, localStart + LOCAL_BYTES);
    const ipBytes = ipOf(client);
    const peer: Peer = { ip: formatIp(ipBytes), ipBytes, port: portOf(client), address: client };
    if (spec === undefined || worker.banned(peer) || isShort(worker.buffers)) {
      worker.counters.add(CONNECTIONS_REFUSED, 1);
      return undefined;
    }
    const original = this.#listener.transparent ? worker.originalOf(peer, this.fd, "udp") : null;
    const origin = {
      key,
      client,
      local: local.some((byte) => byte !== 0) ? local : null,
      steeredTo: original === null ? null : parseAddress(original),
    };
    const found = engine.streamRouters[index]?.match({
      serverName: "",
      source: ipBytes,
      destination: origin.steeredTo === null ? null : ipOf(origin.steeredTo),
      destinationPort: origin.steeredTo === null ? 0 : portOf(origin.steeredTo),
    });
    const route = engine.streamRoutes[found ?? -1];
    if (route === undefined) return this.#refuse(outcomes.NO_ROUTE);
    const opening = new Opening(engine, "udp", peer, "", original, route.spec.name, null);
    const begin = { engine, route, opening, origin, original, clientIp: peer.ip, limits: spec };
    const admitted = admit(route, opening, (taps) => this.#decided(begin, taps));
    if (admitted === null || admitted instanceof Taps) return this.#open(begin, admitted);
    engine.retain();
    this.#opening.set(key, new OpeningSession(engine, admitted));
    return undefined;
  }

  /** The filters of a client's session have thought, and its datagrams waited. */
  #decided(begin: Beginning, taps: Taps | null): void {
    const { key } = begin.origin;
    const opening = this.#opening.get(key);
    this.#opening.delete(key);
    const session = this.#open(begin, taps);
    for (const datagram of opening?.datagrams ?? []) {
      if (session === undefined || this.#sessions.get(key) !== session) {
        this.worker.streams.add(UDP_DATAGRAMS_DROPPED, 1);
      } else session.forwardLate(datagram);
    }
    begin.engine.release();
  }

  /** `taps`: null where a filter refuses the session. */
  #open({ engine, route, opening, origin, original, clientIp, limits }: Beginning, taps: Taps | null) {
    if (taps === null) return this.#refuse(outcomes.DENIED);
    const target = new StreamTarget();
    const chosen = target.choose(this.worker, route, original, clientIp, opening.detour);
    if (chosen >= 0) {
      taps.closed({ ...NOTHING_CARRIED, outcome: outcomes.STREAM_OUTCOMES[chosen] ?? "unknown" });
      return this.#refuse(chosen);
    }
    const session = new UdpSession(this, engine, route, target, origin, limits.idleTimeoutMs, taps);
    if (this.#sessions.size >= limits.sessionsMax) this.#evict();
    session.target.count(1);
    engine.retain();
    this.#account(session);
    if (session.open()) return session;
    this.over(session, outcomes.OVERLOADED);
    return undefined;
  }

  #refuse(outcome: outcomes.StreamOutcome): undefined {
    this.worker.streams.ended(outcome);
    return undefined;
  }

  #account(session: UdpSession): void {
    const { streams, counters } = this.worker;
    if (this.#sessions.size === 0) this.#listener.connections.add(this);
    this.#sessions.add(session);
    streams.add(UDP_SESSIONS, 1);
    streams.add(UDP_SESSIONS_OPEN, 1);
    counters.add(CONNECTIONS_OPEN, 1);
  }

  #evict(): void {
    const { victim } = this.#sessions;
    if (victim === undefined) return;
    this.worker.streams.add(UDP_SESSIONS_EVICTED, 1);
    this.over(victim, outcomes.EVICTED);
  }
}
