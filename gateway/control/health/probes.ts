/**
 * One question to an endpoint of a service: is it there? Asked from this process, not from the supervisor, which parses
 * nothing that comes from a network.
 */
import dgram from "node:dgram";
import http from "node:http";
import net from "node:net";
import type { ServiceCheckSpec } from "#snapshot/kernel.ts";

export interface Target {
  /** An IP address. */
  readonly address: string;
  readonly port: number;
}

/** A head of more than this is not an answer to a health check. */
const HEAD_BYTES_MAX = 16_384;
/** Answers from 200 on are good, from 400 on bad: a redirect comes from someone who is there. */
const STATUS_BAD = 400;

/** Whether the endpoint answered as it should, within `timeoutMs`. Never rejects. */
export function probe(check: Pick<ServiceCheckSpec, "type" | "path" | "timeoutMs">, target: Target): Promise<boolean> {
  switch (check.type) {
    case "tcp":
      return probeTcp(target, check.timeoutMs);
    case "http":
      return probeHttp(target, check.path, check.timeoutMs);
    case "udp":
      return probeUdp(target, check.timeoutMs);
  }
}

function probeTcp({ address, port }: Target, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: address, port });
    const timer = setTimeout(() => end(false), timeoutMs);
    const end = (healthy: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(healthy);
    };
    socket.once("connect", () => end(true));
    socket.on("error", () => end(false));
  });
}

function probeHttp({ address, port }: Target, path: string, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    // A connection of its own: one that is kept open would tell of a process that accepts no new ones any more.
    const options = { host: address, port, path, agent: false, maxHeaderSize: HEAD_BYTES_MAX };
    const request = http.get(options, ({ statusCode = 0 }) => end(statusCode >= 200 && statusCode < STATUS_BAD));
    const timer = setTimeout(() => end(false), timeoutMs);
    const end = (healthy: boolean): void => {
      clearTimeout(timer);
      request.destroy();
      resolve(healthy);
    };
    request.on("error", () => end(false));
  });
}

/** Nothing comes back from who does not understand an empty datagram; "port unreachable" does from where nobody is. */
function probeUdp({ address, port }: Target, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = dgram.createSocket(address.includes(":") ? "udp6" : "udp4");
    const timer = setTimeout(() => end(true), timeoutMs);
    const end = (healthy: boolean): void => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on("error", () => undefined);
      socket.close();
      resolve(healthy);
    };
    socket.once("error", () => end(false));
    socket.once("message", () => end(true));
    socket.connect(port, address, () => socket.send(Buffer.alloc(0)));
  });
}
