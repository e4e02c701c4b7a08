/** The kernel's network: other ends by node:net, in this process, between the driver's turns. */
import { mkdtempSync, readdirSync, readSync, rmSync, writeSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setImmediate as nextTick } from "node:timers/promises";
import { exhaustDescriptors } from "#test/support/open-files.ts";
import { formatAddress, parseAddress, portOf } from "#core/address.ts";
import type { Driver } from "#io/driver.ts";
import { AF_INET, AF_UNIX, bind, close, connect, getsockname, listen, socket, socketpair } from "#sys/socket.ts";
import { createArena } from "#io/arena.ts";
import {
  type Kind,
  type Network,
  type Place,
  Received,
  type Remote,
  type Service,
  type Signal,
} from "./driver.network.ts";

class NetRemote implements Remote {
  readonly received = new Received();
  ended = false;
  broken = false;
  readonly #socket: net.Socket;

  constructor(connection: net.Socket) {
    this.#socket = connection;
    connection.setNoDelay(true);
    connection.on("data", (bytes: Buffer) => this.received.add(bytes));
    connection.on("end", () => {
      this.ended = true;
    });
    connection.on("error", () => {
      this.broken = true;
    });
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }
  end(): void {
    this.#socket.end();
  }
  reset(): void {
    this.#socket.resetAndDestroy();
  }
  pause(): void {
    this.#socket.pause();
  }
  resume(): void {
    this.#socket.resume();
  }
  destroy(): void {
    this.#socket.destroy();
  }
}

export class RealNetwork implements Network {
  readonly driver: Driver;
  readonly #folder = mkdtempSync(path.join(tmpdir(), "penstock-driver-"));
  readonly #remotes: NetRemote[] = [];
  readonly #servers: net.Server[] = [];
  readonly #closing: (() => void)[] = [];
  #paths = 0;

  constructor(create: (arena: ReturnType<typeof createArena>) => Driver, arenaBytes: number) {
    this.driver = create(createArena(arenaBytes));
  }

  listen(kind: Kind): Place {
    const fd = socket(kind === "tcp" ? AF_INET : AF_UNIX);
    bind(fd, parseAddress(kind === "tcp" ? "127.0.0.1:0" : this.#newPath()));
    listen(fd);
    this.#closing.push(() => close(fd));
    return { fd, address: getsockname(fd) };
  }

  dial(place: Place): Remote {
    return this.#remote(net.connect({ ...target(place.address), allowHalfOpen: true }));
  }

  async serve(kind: Kind): Promise<Service> {
    const remotes: Remote[] = [];
    const server = net.createServer({ allowHalfOpen: true }, (connection) => remotes.push(this.#remote(connection)));
    this.#servers.push(server);
    const at = kind === "tcp" ? { host: "127.0.0.1", port: 0 } : { path: this.#newPath().slice(5) };
    await new Promise<void>((resolve) => server.listen(at, resolve));
    const address = server.address();
    const text = typeof address === "string" ? `unix:${address}` : `127.0.0.1:${address?.port}`;
    return { address: parseAddress(text), remotes };
  }

  nowhere(kind: Kind): Uint8Array {
    if (kind === "unix") return parseAddress(this.#newPath());
    // Bound and not listening: refused, and nobody else can take the port meanwhile.
    const fd = socket(AF_INET);
    bind(fd, parseAddress("127.0.0.1:0"));
    this.#closing.push(() => close(fd));
    return getsockname(fd);
  }

  /** A listener that accepts nothing: once its queue of one is full, Linux drops the SYNs that come. */
  silent(): Uint8Array {
    const fd = socket(AF_INET);
    bind(fd, parseAddress("127.0.0.1:0"));
    listen(fd, 0);
    const address = getsockname(fd);
    const filler = socket(AF_INET);
    connect(filler, address);
    this.#closing.push(
      () => close(filler),
      () => close(fd),
    );
    return address;
  }

  exhaust(): () => void {
    return exhaustDescriptors();
  }

  signal(): Signal {
    const [fd, other] = socketpair();
    this.#closing.push(
      () => close(fd),
      () => close(other),
    );
    return { fd, raise: () => writeSync(other, "x"), lower: () => readSync(fd, new Uint8Array(1)) };
  }

  nowMs(): number {
    return performance.now();
  }

  async breathe(): Promise<void> {
    await nextTick();
  }

  descriptors(): number {
    return readdirSync("/proc/self/fd").length;
  }

  async close(): Promise<void> {
    for (const remote of this.#remotes) remote.destroy();
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
    for (const one of this.#closing) one();
    rmSync(this.#folder, { recursive: true });
  }

  #remote(connection: net.Socket): NetRemote {
    const remote = new NetRemote(connection);
    this.#remotes.push(remote);
    return remote;
  }

  #newPath(): string {
    return `unix:${this.#folder}/${this.#paths++}`;
  }
}

function target(address: Uint8Array): net.NetConnectOpts {
  const text = formatAddress(address);
  return text.startsWith("unix:") ? { path: text.slice(5) } : { host: "127.0.0.1", port: portOf(address) };
}
