/** What tests of the data plane open, and close after each test: planes first, then the upstreams they lead to. */
import type net from "node:net";
import { afterEach } from "vitest";
import { type PlaneOptions, startPlane, type TestPlane } from "./data-plane.ts";
import { type RawUpstream, startUpstream } from "./raw-http.ts";

export interface Opened {
  upstream(answer: (socket: net.Socket, all: string, index: number) => void): Promise<RawUpstream>;
  plane(io: PlaneOptions["io"], options: Omit<PlaneOptions, "io">): Promise<TestPlane>;
  /** Something else to be closed, with the upstreams. */
  after(close: () => Promise<void>): void;
}

/** Once a test file, at its top. */
export function closedAfterEach(): Opened {
  const open: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of open.splice(0)) await close();
  });
  return {
    after: (close) => void open.push(close),
    upstream: async (answer) => {
      const upstream = await startUpstream(answer);
      open.push(() => upstream.close());
      return upstream;
    },
    plane: async (io, options) => {
      const plane = await startPlane({ io, ...options });
      open.unshift(() => plane.stop());
      return plane;
    },
  };
}
