/** The two ends that steering tests need: a listener that tells each client where it wanted to go, and plain servers. */
import { once } from "node:events";
import net from "node:net";
import type { ChildProcess } from "node:child_process";
import path from "node:path";
import { formatAddress, parseAddress } from "#core/address.ts";
import type { OriginalDestinations } from "#worker/maps/original-destinations.ts";
import type { TestCgroup } from "./cgroup.ts";

export interface Server {
  readonly port: number;
  readonly accepted: () => number;
  close(): Promise<void>;
}

/** Answers every connection with what `reply` says and closes. On 127.0.0.1 and on ::1, the same port. */
export async function serve(reply: (socket: net.Socket) => string): Promise<Server> {
  let accepted = 0;
  const open = new Set<net.Socket>();
  const answer = (socket: net.Socket): void => {
    accepted++;
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.end(reply(socket));
  };
  const v4 = net.createServer(answer).listen(0, "127.0.0.1");
  await once(v4, "listening");
  const { port } = v4.address() as net.AddressInfo;
  const v6 = net.createServer(answer).listen(port, "::1");
  await once(v6, "listening");
  return {
    port,
    accepted: () => accepted,
    close: async () => {
      for (const server of [v4, v6]) {
        server.close();
        for (const socket of open) socket.destroy();
        await once(server, "close");
      }
    },
  };
}

/** The reply of a gateway that only says `original ADDRESS`. */
export function tellOriginal(originals: () => OriginalDestinations) {
  return (socket: net.Socket): string => {
    const host = socket.remoteAddress ?? "";
    const peer = parseAddress(`${host.includes(":") ? `[${host}]` : host}:${socket.remotePort}`);
    const found = originals().find(peer);
    return found === null ? "not steered" : `original ${formatAddress(found)}`;
  };
}

const CLIENT = path.join(import.meta.dirname, "connect-many.ts");

/** What a client in the cgroup was answered at each destination, `[host, port]`. */
export async function ask(
  cgroup: TestCgroup,
  destinations: readonly (readonly [string, number])[],
  parallel = 1,
): Promise<string[]> {
  const child: ChildProcess = cgroup.spawn(process.execPath, [CLIENT, String(parallel)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  let text = "";
  child.stdout?.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  child.stdin?.end(destinations.map(([host, port]) => `${host} ${port}\n`).join(""));
  await once(child, "close");
  return text.trimEnd().split("\n");
}
