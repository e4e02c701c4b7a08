/**
 * A data plane inside the test's own process: the real drivers, sockets and engine, without supervisor or confinement.
 * The loop runs within libuv's, so that the test's clients and upstreams (node:net) run beside it.
 */
import { formatAddress, parseAddress } from "#core/address.ts";
import type { Fd } from "#core/brands.ts";
import type { Filter } from "#pipeline/filter.ts";
import { Engine } from "#proxy/engine.ts";
import { bind, getsockname, listen, setsockoptInt, SO_REUSEADDR, socket, SOL_SOCKET } from "#sys/socket.ts";
import { DataPlane, type KernelView } from "#worker/data-plane.ts";
import { openDriver } from "#worker/driver.ts";
import { type SnapshotOptions, testSnapshot } from "./snapshot.ts";

export interface PlaneOptions extends SnapshotOptions {
  readonly io: "io_uring" | "epoll";
  readonly filters?: readonly Filter[];
  readonly kernel?: Partial<KernelView>;
}

export interface TestPlane {
  readonly plane: DataPlane;
  readonly port: number;
  /** Waits until nothing is under way and every buffer is back; fails with what is left otherwise. */
  settled(): Promise<void>;
  stop(): Promise<void>;
}

export async function startPlane(options: PlaneOptions): Promise<TestPlane> {
  const plane = new DataPlane(openDriver(options.io), 1);
  const fd = listening();
  const snapshot = testSnapshot(options);
  const chains = snapshot.routes.map(() => options.filters ?? []);
  const engine = new Engine(snapshot, chains, plane.context.endpoints, () => {});
  const port = Number(/:(\d+)$/.exec(formatAddress(getsockname(fd)))?.[1]);
  await new Promise((resolve) => setImmediate(resolve));
  plane.loop.start();
  plane.commit(engine, [{ index: 0, name: "web", address: `127.0.0.1:${port}`, fdTag: 1 }], new Map([[1, fd]]), {
    originalOf: () => null,
    leadsTo: () => true,
    banned: () => false,
    ...options.kernel,
  });
  return { plane, port, settled: () => settled(plane), stop: () => stop(plane) };
}

function listening(): Fd {
  const fd = socket(2);
  setsockoptInt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  bind(fd, parseAddress("127.0.0.1:0"));
  listen(fd);
  return fd;
}

/** Buffers the data plane holds at rest: the workspace, and what io_uring has lent to the kernel. */
const RESTING_BUFFERS_MAX = 257;

async function settled(plane: DataPlane): Promise<void> {
  let left: Record<string, number> = {};
  for (let i = 0; i < 1000; i++) {
    left = plane.counters();
    const held = (left["buffers_all"] ?? 0) - (left["buffers_free"] ?? 0);
    if (left["exchanges_open"] === 0 && left["connections_open"] === 0 && held <= RESTING_BUFFERS_MAX) return;
    await sleep(20);
  }
  throw new Error(`not settled: ${JSON.stringify(left)}`);
}

async function stop(plane: DataPlane): Promise<void> {
  plane.drain();
  for (let i = 0; i < 1000 && plane.connections > 0; i++) await sleep(20);
  await sleep(20);
  plane.loop.stop();
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
