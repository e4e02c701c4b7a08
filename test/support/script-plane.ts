/** Programs of scripts on a real driver and real sockets, in the test's own process. */
import { formatAddress, parseAddress } from "#core/address.ts";
import { Listener } from "#net/listener.ts";
import { listen } from "#pipeline/listen.ts";
import type { ListenOptions } from "#pipeline/listen-options.ts";
import { loadProgram, Program } from "#pipeline/program.ts";
import type { Layout } from "#pipeline/layout/layout.ts";
import {
  bind,
  getsockname,
  listen as listenOn,
  setsockoptInt,
  SO_REUSEADDR,
  SOCK_DGRAM,
  SOCK_STREAM,
  socket,
  SOL_SOCKET,
} from "#sys/socket.ts";
import { DataPlane } from "#worker/data-plane.ts";
import { openDriver } from "#worker/driver.ts";
import { ScriptDatagrams } from "#worker/script/script-datagrams.ts";
import { handlerOf } from "#worker/script/script-listener.ts";
import { ScriptRuntime, scriptShared } from "#worker/script/script-runtime.ts";
import { sleep } from "./data-plane.ts";

/** io_uring lends the kernel as many to receive into, from the first receive on. */
export const LENT_BUFFERS = 256;

export interface ScriptPlane {
  readonly plane: DataPlane;
  readonly port: number;
  readonly runtime: ScriptRuntime;
  /** Lines that were logged. */
  readonly log: string[];
  settled(): Promise<void>;
  stop(): Promise<void>;
}

export async function startScript<C extends object>(
  build: ($: Layout<C>) => Layout<C>,
  options: ListenOptions = {},
): Promise<ScriptPlane> {
  const log: string[] = [];
  const plane = new DataPlane(openDriver("auto"), 1, undefined, (line) => void log.push(line));
  const udp = options.protocol === "udp";
  const fd = socket(2, udp ? SOCK_DGRAM : SOCK_STREAM);
  setsockoptInt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  bind(fd, parseAddress("127.0.0.1:0"));
  if (!udp) listenOn(fd);
  const address = formatAddress(getsockname(fd));
  const runtime = new ScriptRuntime(plane.context, scriptShared(plane.context));
  const program = new Program();
  await loadProgram(program, async () => listen<C>(address, options, build));
  const [spec] = program.listens;
  if (spec === undefined) throw new Error("the script listens nowhere");
  const tls = options.tls === undefined ? null : runtime.tls.server(options.tls);
  const handler = handlerOf(plane.context, runtime, spec, tls);
  const listener = udp
    ? new ScriptDatagrams(plane.context, fd, runtime, spec)
    : new Listener("script", fd, plane.loop, plane.context.gather, handler);
  await new Promise((resolve) => setImmediate(resolve));
  plane.loop.start();
  listener.start();
  const before = plane.context.buffers.free;
  return {
    plane,
    port: Number(/:(\d+)$/.exec(address)?.[1]),
    runtime,
    log,
    settled: async () => {
      for (let i = 0; i < 250; i++) {
        if (runtime.streams.size === 0 && before - plane.context.buffers.free <= LENT_BUFFERS + 1) return;
        await sleep(20);
      }
      const held = before - plane.context.buffers.free;
      throw new Error(`not settled: ${runtime.streams.size} streams, ${held} buffers`);
    },
    stop: async () => {
      listener.stop();
      for (const stream of runtime.streams) stream.abandon();
      await sleep(20);
      plane.loop.stop();
    },
  };
}
