/** What every soak begins with: an upstream, a gateway in front of it, and a look at its workers from outside. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { freePort } from "#test/support/ports.ts";
import { startGateway, type Gateway } from "#test/support/gateway.ts";

export interface AtWork {
  readonly gateway: Gateway;
  readonly port: number;
  /** The declaration, with `extra` routes beside the one for everything. */
  readonly declared: (extra: number) => object;
  stop(): Promise<void>;
}

export interface WorkOptions {
  readonly workers: number;
  readonly answer: http.RequestListener;
  readonly settings?: object;
  /** A route in front of the one for everything. */
  readonly route?: object;
  readonly env?: Readonly<Record<string, string>>;
}

const running = new Set<Gateway>();

/** For who is interrupted: gateways are processes of their own, and would stay. */
export async function endAllWork(): Promise<void> {
  for (const gateway of running) await gateway.kill();
}

export async function startWork({ workers, answer, settings, route, env }: WorkOptions): Promise<AtWork> {
  const upstream = http.createServer(answer);
  // Its own limits are none of the gateway's.
  upstream.requestTimeout = 0;
  upstream.keepAliveTimeout = 600_000;
  await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  const to = `127.0.0.1:${(upstream.address() as AddressInfo).port}`;
  const port = await freePort();
  const declared = (extra: number): object => ({
    listeners: [{ name: "web", address: `127.0.0.1:${port}`, protocol: "http" }],
    upstreams: [{ name: "up", endpoints: [{ address: to }], timeouts: { requestMs: 600_000, connectMs: 10_000 } }],
    tenants: [{ name: "acme", hosts: ["*"] }],
    routes: [
      { name: "all", tenant: "acme", match: { path: { prefix: "/" } }, upstream: "up" },
      ...(route === undefined ? [] : [{ tenant: "acme", upstream: "up", ...route }]),
      ...Array.from({ length: extra }, (_, i) => ({
        name: `extra-${i}`,
        tenant: "acme",
        match: { path: { prefix: `/extra/${extra}/${i}` } },
        upstream: "up",
      })),
    ],
    settings: { accessLog: "off", drainMs: 1000, ...settings },
  });
  const gateway = await startGateway({ workers, config: declared(0), ...(env === undefined ? {} : { env }) });
  running.add(gateway);
  return {
    gateway,
    port,
    declared,
    stop: async () => {
      await gateway.stop();
      running.delete(gateway);
      upstream.closeAllConnections();
      await new Promise((resolve) => upstream.close(resolve));
    },
  };
}

export function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Ports of the clients whose connections to `port` the process holds. */
export function clientsOf(pid: number, port: number): Set<number> {
  const inodes = new Set<string>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
    if (inode !== undefined) inodes.add(inode);
  }
  const clients = new Set<number>();
  // proc_net_tcp(5): number, local and remote address as hexadecimal ADDRESS:PORT, …, the inode tenth.
  for (const line of readFileSync("/proc/net/tcp", "latin1").split("\n").slice(1)) {
    const fields = line.trim().split(/\s+/);
    const [, local = "", remote = ""] = fields;
    if (portIn(local) === port && inodes.has(fields[9] ?? "")) clients.add(portIn(remote));
  }
  return clients;
}

function portIn(address: string): number {
  return Number.parseInt(address.split(":")[1] ?? "", 16);
}
