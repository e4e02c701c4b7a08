/**
 * A data plane with listeners of streams inside the test's own process: real drivers and sockets, one upstream, and
 * whatever routes a test wants.
 */
import { formatAddress, parseAddress } from "#core/address.ts";
import type { Fd } from "#core/brands.ts";
import { Engine } from "#proxy/engine.ts";
import type { ListenerSpec, Snapshot, StreamRouteSpec, UpstreamSpec } from "#snapshot/snapshot.ts";
import {
  bind,
  close,
  getsockname,
  listen,
  setsockoptInt,
  SO_REUSEADDR,
  socket,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_SOCKET,
} from "#sys/socket.ts";
import type { StreamFilter } from "#pipeline/stream-filter.ts";
import { ownBucketTable } from "#plugins/bucket-table.ts";
import { createStreamFilter } from "#plugins/stream-filters.ts";
import { DataPlane, type KernelView } from "#worker/data-plane.ts";
import { openDriver } from "#worker/driver.ts";
import { TlsSet } from "#worker/tls-set.ts";
import type { Issued } from "./certificates.ts";
import { testSnapshot } from "./snapshot.ts";
import { certificateSpec } from "./tls-plane.ts";

export interface StreamPlaneOptions {
  readonly io: "io_uring" | "epoll";
  readonly endpoints: readonly string[];
  readonly listener: Partial<ListenerSpec> & Pick<ListenerSpec, "protocol">;
  readonly routes?: readonly Partial<StreamRouteSpec>[];
  /** Of every route, in the place of those that it declares. */
  readonly filters?: readonly StreamFilter[];
  readonly upstream?: Partial<UpstreamSpec>;
  readonly others?: readonly UpstreamSpec[];
  readonly kernel?: Partial<KernelView>;
  readonly headTimeoutMs?: number;
  /** What the socket is bound to; port 0. */
  readonly address?: string;
  /** Where the access log goes. */
  readonly logFd?: number;
  /** What the TLS of listener and upstreams refers to by index. */
  readonly certificates?: readonly Issued[];
  readonly ocsp?: Uint8Array;
}

export interface StreamPlane {
  readonly plane: DataPlane;
  readonly port: number;
  /** Lines for the operator. */
  readonly lines: readonly string[];
  counters(): Record<string, number>;
  /** Puts another snapshot into force. */
  swap(options: Partial<StreamPlaneOptions>): void;
  /** Waits until no stream is open and every buffer is back; fails with what is left otherwise. */
  settled(): Promise<void>;
  stop(): Promise<void>;
}

export function streamRoute(over: Partial<StreamRouteSpec> = {}): StreamRouteSpec {
  return {
    name: "all",
    tenant: "test",
    listeners: [0],
    match: { serverNames: [], sources: [], destinations: [] },
    filters: [],
    action: { kind: "upstream", split: [{ upstream: 0, weight: 1 }] },
    order: 0,
    ...over,
  };
}

function snapshotOf(options: StreamPlaneOptions, address: string): Snapshot {
  const base = testSnapshot({ endpoints: options.endpoints });
  const [up] = base.upstreams;
  if (up === undefined) throw new Error("a snapshot has an upstream");
  const http = options.listener.protocol === "http";
  const stream = { idleTimeoutMs: 60_000, sessionsMax: 100 };
  return {
    ...base,
    certificates: (options.certificates ?? []).map((one, i) => certificateSpec(one, `c${i}`, options.ocsp)),
    listeners: [{ name: "in", address, transparent: false, ...(http ? {} : { stream }), ...options.listener }],
    upstreams: [{ ...up, ...options.upstream }, ...(options.others ?? [])],
    routes: http ? base.routes : [],
    streamRoutes: http ? [] : (options.routes ?? [{}]).map((route) => streamRoute(route)),
    settings: {
      ...base.settings,
      headTimeoutMs: options.headTimeoutMs ?? 10_000,
      accessLog: options.logFd === undefined ? "off" : "json",
    },
  };
}

export async function startStreamPlane(options: StreamPlaneOptions): Promise<StreamPlane> {
  const lines: string[] = [];
  const plane = new DataPlane(openDriver(options.io), options.logFd ?? 1, undefined, (line) => lines.push(line));
  const tlsSet = new TlsSet(plane.context.tls, (line) => plane.context.log(line));
  const udp = options.listener.protocol === "udp";
  const fd = bound(options.address ?? "127.0.0.1:0", udp);
  const address = formatAddress(getsockname(fd));
  const port = Number(/:(\d+)$/.exec(address)?.[1] ?? 0);
  await new Promise((resolve) => setImmediate(resolve));
  plane.loop.start();
  let now = options;
  const commit = (): void => {
    const snapshot = snapshotOf(now, address);
    const services = {
      sharedMs: () => plane.loop.nowMs,
      limits: ownBucketTable(64),
      map: (name: string) => {
        throw new Error(`a plane of streams has no map ${name}`);
      },
    };
    const filters = (snapshot.streamRoutes ?? []).map(
      (route) =>
        now.filters ??
        route.filters.map((spec) => {
          if (spec.kind === "plugin") throw new Error("a plane of streams has built-in filters only");
          return createStreamFilter(spec, services, spec.name);
        }),
    );
    const keys = (now.certificates ?? []).map(({ key }) => Buffer.from(key));
    const tls = tlsSet.prepare(snapshot, { keys, systemCa: null, ticketKeys: [] });
    const engine = new Engine(snapshot, [], plane.context.endpoints, () => {}, filters, tls);
    const kernel = { originalOf: () => null, leadsTo: () => true, banned: () => false, ...now.kernel };
    plane.commit(engine, [{ index: 0, name: "in", address, fdTag: 1 }], new Map([[1, fd]]), kernel);
    tlsSet.commit();
  };
  commit();
  return {
    plane,
    port,
    lines,
    counters: () => plane.counters(),
    swap: (changes) => {
      now = { ...now, ...changes };
      commit();
    },
    settled: () => settled(plane),
    stop: async () => {
      plane.drain();
      await settled(plane);
      plane.loop.stop();
      close(fd);
    },
  };
}

function bound(address: string, udp: boolean): Fd {
  const sockaddr = parseAddress(address);
  const fd = socket((sockaddr[0] ?? 0) | ((sockaddr[1] ?? 0) << 8), udp ? SOCK_DGRAM : SOCK_STREAM);
  if (!address.startsWith("unix:")) setsockoptInt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  bind(fd, sockaddr);
  if (!udp) listen(fd);
  return fd;
}

/** Buffers the data plane holds at rest: the workspace, the two of TLS, and what io_uring has lent to the kernel. */
const RESTING_BUFFERS_MAX = 259;

async function settled(plane: DataPlane): Promise<void> {
  let left: Record<string, number> = {};
  for (let i = 0; i < 200; i++) {
    left = plane.counters();
    const held = (left["buffers_all"] ?? 0) - (left["buffers_free"] ?? 0);
    const open = (left["connections_open"] ?? 0) + (left["tcp_streams_open"] ?? 0);
    if (open === 0 && held <= RESTING_BUFFERS_MAX) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const there = Object.entries(left).filter(([, value]) => value !== 0);
  throw new Error(`not settled: ${JSON.stringify(there)}`);
}
