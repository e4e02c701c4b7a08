/** What the tests of a data plane begin with: upstreams and gateways that end with the test, the gateway first. */
import type net from "node:net";
import { startPlane, type PlaneOptions, type TestPlane } from "./data-plane.ts";
import { startUpstream, type RawUpstream } from "./raw-http.ts";

export class ProxyBench {
  readonly #open: { stop(): Promise<void> }[] = [];

  async upstream(answer: (socket: net.Socket, all: string, index: number) => void): Promise<RawUpstream> {
    const one = await startUpstream(answer);
    this.#open.push({ stop: () => one.close() });
    return one;
  }

  async plane(io: PlaneOptions["io"], options: Omit<PlaneOptions, "io">): Promise<TestPlane> {
    const one = await startPlane({ io, ...options });
    this.#open.unshift({ stop: () => one.stop() });
    return one;
  }

  /** To be stopped behind the gateways. */
  also(stop: () => Promise<void>): void {
    this.#open.push({ stop });
  }

  /** For `afterEach`. */
  async close(): Promise<void> {
    for (const one of this.#open.splice(0)) await one.stop();
  }
}
