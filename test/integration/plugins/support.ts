/** A data plane with built-in filters in the test's process, between node:http on both sides. */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { createBuiltinFilter } from "#plugins/create-filter.ts";
import type { BuiltinConfigs, BuiltinFilterSpec, BuiltinName } from "#snapshot/builtin-filters.ts";
import { startPlane, type PlaneOptions, type TestPlane } from "#test/support/data-plane.ts";
import { Clock } from "#test/unit/plugins/exchange.ts";

export interface Served {
  readonly plane: TestPlane;
  readonly port: number;
  stop(): Promise<void>;
}

export type Configured = {
  [Name in BuiltinName]: { readonly name: Name; readonly config: BuiltinConfigs[Name] };
}[BuiltinName];

/** `clock`: what the filters are lent. */
export async function serve(
  io: PlaneOptions["io"],
  filters: readonly Configured[],
  listener: http.RequestListener,
  clock = new Clock(),
): Promise<Served> {
  const upstream = http.createServer(listener);
  await new Promise<void>((resolve) => {
    upstream.listen(0, "127.0.0.1", resolve);
  });
  const { port } = upstream.address() as AddressInfo;
  const chain = filters.map((one) =>
    createBuiltinFilter({ kind: "builtin", ...one } as BuiltinFilterSpec, clock, one.name),
  );
  const plane = await startPlane({ io, endpoints: [`127.0.0.1:${port}`], filters: chain });
  const stop = async (): Promise<void> => {
    await plane.stop();
    upstream.closeAllConnections();
    upstream.close();
    for (const filter of chain) filter.dispose();
  };
  return { plane, port: plane.port, stop };
}

export interface Got {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
  readonly trailers: NodeJS.Dict<string>;
}

export interface AskOptions {
  readonly method?: string;
  readonly headers?: http.OutgoingHttpHeaders;
  readonly body?: Uint8Array | string | undefined;
}

/** Rejects when the connection is cut. */
export function get(port: number, path: string, options: AskOptions = {}): Promise<Got> {
  return new Promise((resolve, reject) => {
    const { method = "GET", headers = {}, body } = options;
    const outgoing = http.request({ host: "127.0.0.1", port, path, method, headers, agent: false }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.on("error", reject);
      incoming.on("end", () => {
        const { statusCode: status = 0, headers, trailers } = incoming;
        resolve({ status, headers, body: Buffer.concat(chunks), trailers });
      });
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}
