/** What the contract of datagrams needs of a network: a driver, clients that send to it, and services that it sends to. */
import dgram from "node:dgram";
import { setImmediate as nextTick } from "node:timers/promises";
import { parseAddress } from "#core/address.ts";
import type { Fd } from "#core/brands.ts";
import { createArena } from "#io/arena.ts";
import { BUFFER_BYTES } from "#io/buffers.ts";
import type { Driver } from "#io/driver.ts";
import { createFakeDriver, type FakeDriver } from "#io/fake/driver.ts";
import type { Faults } from "#io/fake/faults.ts";
import { AF_INET, bind, close, getsockname, socket, SOCK_DGRAM } from "#sys/socket.ts";

/** io_uring lends 256 buffers to the kernel. */
const ARENA_BYTES = 300 * BUFFER_BYTES;

export interface DatagramClient {
  send(bytes: Uint8Array): void;
  readonly received: Uint8Array[];
}

export interface DatagramNetwork {
  readonly driver: Driver;
  /** A bound descriptor of the driver's machine. */
  bind(): Fd;
  /** Somebody who sends to it. */
  client(to: Fd): Promise<DatagramClient>;
  /** Where `answer` is given for each datagram; null for none. */
  serve(answer: (bytes: Uint8Array) => Uint8Array | null): Promise<Uint8Array>;
  nowhere(): Uint8Array;
  breathe(): Promise<void>;
  close(): Promise<void>;
}

export class KernelNetwork implements DatagramNetwork {
  readonly driver: Driver;
  readonly #closing: (() => unknown)[] = [];

  constructor(create: (arena: ReturnType<typeof createArena>) => Driver) {
    this.driver = create(createArena(ARENA_BYTES));
  }

  bind(): Fd {
    const fd = socket(AF_INET, SOCK_DGRAM);
    bind(fd, parseAddress("127.0.0.1:0"));
    this.#closing.push(() => close(fd));
    return fd;
  }

  async client(to: Fd): Promise<DatagramClient> {
    const own = await this.#open();
    const address = getsockname(to);
    const port = ((address[2] as number) << 8) | (address[3] as number);
    const received: Uint8Array[] = [];
    own.on("message", (bytes) => received.push(bytes));
    return { send: (bytes) => own.send(bytes, port, "127.0.0.1"), received };
  }

  async serve(answer: (bytes: Uint8Array) => Uint8Array | null): Promise<Uint8Array> {
    const own = await this.#open();
    own.on("message", (bytes, from) => {
      const reply = answer(bytes);
      if (reply !== null) own.send(reply, from.port, from.address);
    });
    return parseAddress(`127.0.0.1:${own.address().port}`);
  }

  nowhere(): Uint8Array {
    const fd = socket(AF_INET, SOCK_DGRAM);
    bind(fd, parseAddress("127.0.0.1:0"));
    const address = getsockname(fd);
    close(fd);
    return address;
  }

  async breathe(): Promise<void> {
    await nextTick();
  }

  async close(): Promise<void> {
    for (const one of this.#closing) await one();
    this.driver.dispose();
  }

  async #open(): Promise<dgram.Socket> {
    const own = dgram.createSocket("udp4");
    await new Promise<void>((resolve) => own.bind(0, "127.0.0.1", resolve));
    this.#closing.push(() => new Promise<void>((resolve) => own.close(() => resolve())));
    return own;
  }
}

export class FakeNetwork implements DatagramNetwork {
  readonly driver: FakeDriver;
  #ports = 1000;

  constructor(seed: number, faults: Partial<Faults>) {
    this.driver = createFakeDriver({ arena: createArena(ARENA_BYTES), seed, faults });
  }

  bind(): Fd {
    return this.driver.bindDatagrams();
  }

  async client(to: Fd): Promise<DatagramClient> {
    const received: Uint8Array[] = [];
    const from = `192.0.2.1:${this.#ports++}`;
    return { send: (bytes) => this.driver.sendDatagram(to, bytes, from, (back) => received.push(back)), received };
  }

  async serve(answer: (bytes: Uint8Array) => Uint8Array | null): Promise<Uint8Array> {
    const text = `198.51.100.1:${this.#ports++}`;
    this.driver.serveDatagrams(text, (bytes, reply) => {
      const back = answer(bytes);
      if (back !== null) reply(back);
    });
    return parseAddress(text);
  }

  nowhere(): Uint8Array {
    return parseAddress(`198.51.100.1:${this.#ports++}`);
  }

  async breathe(): Promise<void> {}

  async close(): Promise<void> {
    this.driver.dispose();
  }
}
