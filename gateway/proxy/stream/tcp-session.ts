/**
 * One TCP connection of a client, from its accept (or, where TLS ends here, from the end of its handshake) to its end.
 *
 *     HELLO (tls-passthrough: the ClientHello is read, not consumed) ─▶ DIALLING ─▶ RELAYING ─▶ over
 *
 * Until there is an upstream, what the client sends waits: in the kernel, but for what was received with the ClientHello, or at once
 * behind a handshake.
 * Belongs to the engine that was in force when it began, and keeps it until its end.
 */
import { formatAddress, ipOf, parseAddress, portOf } from "#core/address.ts";
import type { Connection, Protocol } from "#net/connection.ts";
import { HeldRegions } from "#net/held.ts";
import type { Peer } from "#net/listener.ts";
import { encodeProxyHeader, type ProxyVersion } from "#net/proxy-protocol/encode.ts";
import { CONNECTIONS_OPEN } from "#observe/counters.ts";
import {
  TCP_BYTES_RECEIVED,
  TCP_BYTES_SENT,
  TCP_BYTES_SPLICED,
  TCP_DURATION_MS,
  TCP_STREAMS,
  TCP_STREAMS_OPEN,
} from "#observe/stream-counters.ts";
import type { Banned, Drainable, ListenerContext } from "#proxy/context.ts";
import type { Engine } from "#proxy/engine.ts";
import { Dial, type DialOwner } from "./dial.ts";
import { HelloReader } from "./hello-reader.ts";
import { logStream } from "./log.ts";
import * as outcomes from "./outcomes.ts";
import { FIRST, Relay, SECOND, type RelayEnd, type RelayOwner } from "./relay.ts";
import { Opening } from "./opening.ts";
import { admit, type Admitting, type StreamRoute } from "./stream-route.ts";
import { NO_TAPS, Taps } from "./taps.ts";

export class TcpSession implements Protocol, RelayOwner, DialOwner, Drainable {
  readonly #listener: ListenerContext;
  readonly #engine: Engine;
  /** Of the listener in that engine's snapshot. */
  readonly #index: number;
  readonly #client: Connection;
  readonly #peer: Peer;
  readonly #startMs: number;
  readonly #dial: Dial;
  readonly #held: HeldRegions;
  #hello: HelloReader | null = null;
  #serverName: string;
  /** Where a steered client wanted to go. */
  #original: string | null = null;
  #route: StreamRoute | null = null;
  #relay: Relay | null = null;
  #taps: Taps = NO_TAPS;
  /** A filter thinks about whether to let it in. */
  #admitting: Admitting | null = null;
  #over = false;

  constructor(listener: ListenerContext, client: Connection, peer: Peer) {
    this.#listener = listener;
    this.#engine = listener.engine;
    this.#index = listener.index;
    this.#client = client;
    this.#peer = peer;
    this.#startMs = client.loop.nowMs;
    this.#held = new HeldRegions(client.buffers);
    this.#dial = new Dial(listener.worker, this);
    this.#serverName = client.tls?.serverName ?? "";
    this.#engine.retain();
    listener.connections.add(this);
    listener.worker.counters.add(CONNECTIONS_OPEN, 1);
    listener.worker.streams.add(TCP_STREAMS, 1);
    listener.worker.streams.add(TCP_STREAMS_OPEN, 1);
  }

  get #spec() {
    return this.#engine.snapshot.listeners[this.#index];
  }

  start(): void {
    const client = this.#client;
    client.protocol = this;
    client.deadlineMs = Number.POSITIVE_INFINITY;
    if (this.#listener.transparent) {
      this.#original = this.#listener.worker.originalOf(this.#peer, client.socket?.fd ?? -1);
    }
    if (this.#spec?.protocol !== "tls-passthrough") {
      this.#routeIt();
      return;
    }
    this.#hello = new HelloReader(client.buffers);
    client.resume();
    client.expireBy(this.#startMs + this.#engine.snapshot.settings.headTimeoutMs);
  }

  /** A stream has no end of its own making: it goes on until its peers end it, or the worker leaves. */
  drain(): void {}

  expel(banned: Banned): void {
    if (banned(this.#peer.ipBytes)) this.#client.expel();
  }

  // The client's connection, before it is relayed.

  onConnected(): void {}

  onBytes(buffer: number, start: number, end: number): void {
    this.#held.push(buffer, start, end);
    const hello = this.#hello;
    if (hello === null) {
      this.#client.pause();
      return;
    }
    const read = hello.add(start, end);
    if (read === "more") return;
    this.#endHello();
    if (read === "refused") this.#finish(outcomes.NOT_TLS);
    else if (read === "no-buffers") this.#finish(outcomes.OVERLOADED);
    else {
      this.#serverName = hello.serverName;
      this.#client.pause();
      this.#routeIt();
    }
  }

  /** Before the ClientHello is whole there will be none; behind it, it is the relay's to pass on. */
  onEnd(): void {
    if (this.#hello !== null) this.#finish(outcomes.CLIENT_GONE);
  }

  onDrained(): void {}

  onBroken(): void {
    this.#finish(outcomes.CLIENT_GONE);
  }

  onDeadline(): void {
    this.#finish(outcomes.HELLO_TIMEOUT);
  }

  #endHello(): void {
    this.#hello?.clear();
    this.#hello = null;
    this.#client.deadlineMs = Number.POSITIVE_INFINITY;
    this.#client.loop.timers.forget(this.#client);
  }

  #routeIt(): void {
    const original = this.#original === null ? null : parseAddress(this.#original);
    const index = this.#engine.streamRouters[this.#index]?.match({
      serverName: this.#serverName,
      source: this.#peer.ipBytes,
      destination: original === null ? null : ipOf(original),
      destinationPort: original === null ? 0 : portOf(original),
    });
    const route = this.#engine.streamRoutes[index ?? -1];
    if (route === undefined) {
      this.#finish(outcomes.NO_ROUTE);
      return;
    }
    this.#route = route;
    const protocol = this.#spec?.protocol === "tls-passthrough" ? "tls" : "tcp";
    const opening = new Opening(
      this.#engine,
      protocol,
      this.#peer,
      this.#serverName,
      this.#original,
      route.spec.name,
      this.#client.tls,
    );
    const admitted = admit(route, opening, (taps) => this.#admitted(route, opening, taps));
    if (admitted === null || admitted instanceof Taps) this.#admitted(route, opening, admitted);
    else this.#admitting = admitted;
  }

  #admitted(route: StreamRoute, opening: Opening, taps: Taps | null): void {
    this.#admitting = null;
    this.#taps = taps ?? NO_TAPS;
    if (taps === null) this.#finish(outcomes.DENIED);
    else this.#dial.begin(route, this.#original, this.#peer.ip, opening.detour);
  }

  // Its connection to an endpoint.

  /** Whoever leaves meanwhile frees a place in the queue. */
  waits(): void {
    this.#client.resume();
  }

  introduction(version: ProxyVersion): Uint8Array {
    return encodeProxyHeader(version, this.#peer.address, this.#destination());
  }

  dialled(upstream: Connection): void {
    const idleMs = this.#spec?.stream?.idleTimeoutMs ?? Number.POSITIVE_INFINITY;
    const sockmap = this.#spec?.sockmap === true ? this.#listener.worker.sockmap() : null;
    this.#relay = new Relay(this.#client, upstream, idleMs, this, this.#taps, sockmap);
    this.#relay.start(this.#held, null);
  }

  undialled(outcome: outcomes.StreamOutcome): void {
    this.#finish(outcome);
  }

  /** Where the client believes to be. */
  #destination(): Uint8Array {
    if (this.#original !== null) return parseAddress(this.#original);
    const { socket, loop } = this.#client;
    const own = socket === null ? null : loop.driver.localAddress(socket);
    return this.#peer.destination ?? own ?? this.#peer.address;
  }

  onRelayEnd(end: RelayEnd, side: number): void {
    this.#held.clear();
    if (end === "reset") this.#end(side === FIRST ? outcomes.CLIENT_RESET : outcomes.UPSTREAM_RESET);
    else if (end === "idle") this.#end(outcomes.IDLE_TIMEOUT);
    else if (end === "refused") this.#end(outcomes.DENIED);
    else this.#end(end === "closed" ? outcomes.CLOSED : outcomes.OVERLOADED);
  }

  /** Before there was a relay. A client that gets nothing is told so by a reset. */
  #finish(outcome: outcomes.StreamOutcome): void {
    if (this.#over) return;
    this.#hello?.clear();
    this.#hello = null;
    this.#admitting?.abandon();
    this.#admitting = null;
    this.#held.clear();
    this.#client.reset();
    this.#end(outcome);
  }

  #end(outcome: outcomes.StreamOutcome): void {
    if (this.#over) return;
    this.#over = true;
    const { worker, connections } = this.#listener;
    const { streams, counters, loop, accessLog } = worker;
    this.#dial.over();
    const received = this.#relay?.bytesFrom(FIRST) ?? 0;
    const sent = this.#relay?.bytesFrom(SECOND) ?? 0;
    streams.add(TCP_STREAMS_OPEN, -1);
    streams.add(TCP_BYTES_RECEIVED, received);
    streams.add(TCP_BYTES_SENT, sent);
    streams.add(TCP_BYTES_SPLICED, this.#relay?.bytesSpliced ?? 0);
    streams.add(TCP_DURATION_MS, loop.nowMs - this.#startMs);
    streams.ended(outcome);
    counters.add(CONNECTIONS_OPEN, -1);
    if (accessLog.enabled) this.#log(received, sent, outcome);
    if (this.#taps.any) {
      this.#taps.closed({
        outcome: outcomes.STREAM_OUTCOMES[outcome] ?? "unknown",
        durationMs: loop.nowMs - this.#startMs,
        bytesReceived: received,
        bytesSent: sent,
        endpoint: this.#dial.address,
      });
    }
    worker.clients.left(this.#peer.ip);
    connections.delete(this);
    if (connections.size === 0) this.#listener.emptied();
    this.#engine.release();
  }

  #log(bytesReceived: number, bytesSent: number, outcome: outcomes.StreamOutcome): void {
    const { protocol } = this.#spec ?? {};
    const stream = {
      protocol: protocol === "tls-passthrough" ? ("TLS" as const) : ("TCP" as const),
      client: this.#peer.ip === "" ? formatAddress(this.#peer.address) : this.#peer.ip,
      serverName: this.#serverName,
      destination: this.#original ?? "",
      startMs: this.#startMs,
      bytesReceived,
      bytesSent,
      route: this.#route?.spec.name ?? "",
      upstream: this.#dial.address,
    };
    logStream(this.#listener.worker, stream, outcome);
  }
}
