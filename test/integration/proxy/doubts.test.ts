/** What two exchanges, a filter and a broken end could do to each other when their bytes meet at the wrong time. */
import { describe, expect, it } from "vitest";
import { parseAddress } from "#core/address.ts";
import { internName } from "#http/names.ts";
import { CONTINUE, HOOK_REQUEST_HEAD, type Filter } from "#pipeline/filter.ts";
import { mapMemory } from "#sys/memory.ts";
import {
  AF_INET,
  close,
  connect,
  recv,
  resetOnClose,
  send,
  setsockoptInt,
  SO_RCVBUF,
  socket,
  SOL_SOCKET,
} from "#sys/socket.ts";
import { sleep } from "#test/support/data-plane.ts";
import { limitDescriptors } from "#test/support/open-files.ts";
import { closedAfterEach } from "#test/support/plane-tests.ts";
import { RawClient } from "#test/support/raw-client.ts";
import { requests, talk } from "#test/support/raw-http.ts";

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const WRONG = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong";
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

const { upstream, plane } = closedAfterEach();

const answered = (all: string): boolean => all.endsWith("ok") || all.endsWith("wrong") || all.includes("}");

function filter(hooks: Partial<Filter>): Filter {
  return {
    name: "test",
    hooks: 0,
    requestHead: () => CONTINUE,
    responseHead: () => CONTINUE,
    end: () => {},
    dispose: () => {},
    ...hooks,
  };
}

/** Sets, or adds, a field of every request. */
function writes(verb: "set" | "add", name: string, value: string): Filter {
  const id = internName(name);
  const bytes = Buffer.from(value);
  return filter({
    hooks: HOOK_REQUEST_HEAD,
    requestHead: (exchange) => {
      expect(exchange.request[verb](id, bytes, 0, bytes.length)).toBe(true);
      return CONTINUE;
    },
  });
}

describe.each(["io_uring", "epoll"] as const)("over %s", (io) => {
  it("what comes behind a response, in a later segment, ends the connection and answers nobody", async () => {
    const up = await upstream((socket) => {
      socket.setNoDelay(true);
      socket.write(OK);
      setImmediate(() => socket.write(WRONG));
    });
    const gateway = await plane(io, { endpoints: [up.address] });
    for (let i = 0; i < 20; i++) {
      // The bytes are on their way; what waits a moment meets a connection that has left the pool.
      expect(await talk(gateway.port, GET, answered)).toBe(OK);
      await sleep(5);
    }
    expect(up.connections()).toBe(20);
    await gateway.settled();
  });

  it("a connection that just answered is not used again in the same turn", async () => {
    const up = await upstream((socket, all) => {
      if (requests(all) === 1) socket.write(OK + WRONG);
      else socket.write(OK);
    });
    const gateway = await plane(io, { endpoints: [up.address] });
    const client = new RawClient(gateway.port).send(GET.repeat(10));
    await client.until(({ received }) => received.length >= OK.length * 10);
    expect(client.received).toBe(OK.repeat(10));
    client.end();
    await client.untilEnd();
    await gateway.settled();
  });

  it("a response without length that is cut reaches an HTTP/1.0 client as a reset, a whole one as an end", async () => {
    for (const cut of [true, false]) {
      const up = await upstream((socket) => {
        socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nbegun\r\n");
        setTimeout(() => (cut ? socket.resetAndDestroy() : socket.write("0\r\n\r\n")), 50);
      });
      const gateway = await plane(io, { endpoints: [up.address] });
      const client = new RawClient(gateway.port).send("GET / HTTP/1.0\r\n\r\n");
      let error = "";
      client.socket.on("error", ({ message }) => (error = message));
      await client.until(({ ended, closed }) => ended || closed);
      expect(client.received.endsWith("begun")).toBe(true);
      expect([client.ended, error.includes("ECONNRESET")]).toEqual([!cut, cut]);
      client.end();
      await gateway.settled();
    }
  });

  it.each([
    ["set", "x-forwarded-for", "192.0.2.1", ["x-forwarded-for: 192.0.2.1", "x-forwarded-proto: http"]],
    [
      "add",
      "x-forwarded-host",
      "shop.example",
      ["x-forwarded-host: shop.example", "x-forwarded-for: 127.0.0.1", "x-forwarded-proto: http"],
    ],
    ["set", "x-forwarded-proto", "https", ["x-forwarded-proto: https", "x-forwarded-for: 127.0.0.1"]],
    [
      "set",
      "forwarded",
      "for=192.0.2.1",
      ["forwarded: for=192.0.2.1", "x-forwarded-for: 127.0.0.1", "x-forwarded-proto: http"],
    ],
  ] as const)(
    "a filter's %s of %s goes on, what an untrusted client says does not",
    async (verb, name, value, lines) => {
      const up = await upstream((socket) => socket.write(OK));
      const gateway = await plane(io, { endpoints: [up.address], filters: [writes(verb, name, value)] });
      const lies =
        "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Host: evil\r\nForwarded: for=6.6.6.6\r\nX-Forwarded-Proto: ftp\r\n";
      await talk(gateway.port, `GET / HTTP/1.1\r\nHost: a\r\n${lies}\r\n`, answered);
      const sent = (up.received[0] ?? "").split("\r\n").filter((line) => /forwarded/i.test(line));
      expect(sent).toEqual(lines);
      await gateway.settled();
    },
  );

  it("a trusted client's list is continued without a buffer of its own", async () => {
    // Nobody is answered yet: what the two hold is looked at while they wait.
    const answers: (() => void)[] = [];
    const up = await upstream((socket) => answers.push(() => socket.write(OK)));
    const gateway = await plane(io, { endpoints: [up.address], settings: { trustedProxies: ["127.0.0.0/8"] } });
    const { buffers } = gateway.plane.context;
    const plain = new RawClient(gateway.port).send(GET);
    await expect.poll(() => up.received[0], { timeout: 10_000 }).toContain("x-forwarded-proto");
    const before = buffers.free;
    const listed = new RawClient(gateway.port).send(
      "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n",
    );
    await expect
      .poll(() => up.received[1], { timeout: 10_000 })
      .toContain("x-forwarded-for: 203.0.113.9, 127.0.0.1\r\n");
    expect(before - buffers.free).toBeLessThanOrEqual(1);
    for (const answer of answers) answer();
    for (const client of [plain, listed]) {
      await client.until(({ received }) => received === OK);
      client.socket.destroy();
    }
    await gateway.settled();
  });

  it("without a free descriptor who is connected is served, and who comes waits until there is one", async () => {
    const up = await upstream((one) => one.write(OK));
    const descriptors = limitDescriptors(64);
    try {
      const gateway = await plane(io, { endpoints: [up.address] });
      const kept = new RawClient(gateway.port).send(GET);
      await kept.until(({ received }) => received === OK);
      const late = new SlowReader(gateway.port, false);
      descriptors.reach();
      late.connect();
      await expect.poll(() => gateway.plane.counters()["accept_errors"], { timeout: 10_000 }).toBeGreaterThan(1);
      kept.send(GET);
      await kept.until(({ received }) => received === OK + OK);
      late.send(GET);
      descriptors.relieve();
      const read = (): number => {
        late.read(1000);
        return late.bytes;
      };
      await expect.poll(read, { timeout: 10_000 }).toBe(OK.length);
      late.close();
      kept.end();
      await gateway.settled();
    } finally {
      descriptors.relieve();
    }
  });

  it("a slow reader is not cut while it moves, one that stands still is", async () => {
    const body = Buffer.alloc(8 << 20, "x");
    const up = await upstream((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n`);
      socket.write(body);
    });
    const gateway = await plane(io, { endpoints: [up.address], settings: { bodyIdleTimeoutMs: 1000 } });
    const moving = new SlowReader(gateway.port);
    const still = new SlowReader(gateway.port);
    for (const reader of [moving, still]) reader.send(GET);
    // A send of 256 KiB takes ten seconds at this pace: our own queue stands still for longer than the limit.
    for (let i = 0; i < 30; i++) {
      await sleep(100);
      moving.read(2500);
    }
    expect(gateway.plane.counters()["outcome_client_timeout"]).toBe(1);
    const before = moving.bytes;
    moving.read(60_000);
    expect(moving.bytes).toBeGreaterThan(before);
    for (const reader of [moving, still]) reader.close();
    await gateway.settled();
  });
});

/** A client with a small receive buffer that takes as much as it is told to. */
class SlowReader {
  readonly #fd = socket(AF_INET);
  readonly #memory = mapMemory(65_536);
  bytes = 0;

  readonly #port: number;

  constructor(port: number, connects = true) {
    this.#port = port;
    setsockoptInt(this.#fd, SOL_SOCKET, SO_RCVBUF, 4096);
    if (connects) this.connect();
  }

  connect(): void {
    connect(this.#fd, parseAddress(`127.0.0.1:${this.#port}`));
  }

  send(text: string): void {
    const bytes = Buffer.from(text);
    new Uint8Array(this.#memory.bytes).set(bytes);
    setTimeout(() => send(this.#fd, Number(this.#memory.address), bytes.length), 20);
  }

  read(most: number): void {
    this.bytes += Math.max(0, recv(this.#fd, Number(this.#memory.address), most));
  }

  close(): void {
    resetOnClose(this.#fd);
    close(this.#fd);
    this.#memory.unmap();
  }
}
