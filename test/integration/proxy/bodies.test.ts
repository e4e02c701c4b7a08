/** Bodies through filters in the real exchange: both directions, held requests, replies from a source, slow clients. */
import type net from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { PassingStage, SAME_LENGTH, UNKNOWN_LENGTH, type LengthEffect } from "#pipeline/body.ts";
import {
  CONTINUE,
  HOOK_REQUEST_HEAD,
  HOOK_RESPONSE_HEAD,
  REPLY,
  SUSPEND,
  type Exchange,
  type Filter,
  type Verdict,
} from "#pipeline/filter.ts";
import { startPlane, type PlaneOptions, type TestPlane } from "#test/support/data-plane.ts";
import { RawClient } from "#test/support/raw-client.ts";
import { startUpstream, type RawUpstream } from "#test/support/raw-http.ts";

type Hook = (exchange: Exchange) => Verdict;

function filter(request: Hook | null, response: Hook | null = null): Filter {
  return {
    name: "test",
    hooks: (request === null ? 0 : HOOK_REQUEST_HEAD) | (response === null ? 0 : HOOK_RESPONSE_HEAD),
    requestHead: (exchange) => request?.(exchange) ?? CONTINUE,
    responseHead: (exchange) => response?.(exchange) ?? CONTINUE,
    end: () => {},
    dispose: () => {},
  };
}

class Upper extends PassingStage {
  override data(_buffer: number, start: number, end: number): void {
    const text = Buffer.from(this.link.memory.subarray(start, end)).toString("latin1");
    this.link.write(Buffer.from(text.toUpperCase(), "latin1"));
  }
}

/** Twice what comes, and a word at the end, some time later. */
class Twice extends PassingStage {
  override data(buffer: number, start: number, end: number): void {
    this.link.data(buffer, start, end);
    this.link.data(buffer, start, end);
  }
  override end(): void {
    setTimeout(() => {
      this.link.write(Buffer.from("END"));
      this.link.end();
    }, 10);
  }
}

/** Holds a body to its end, lets its exchange go on, and passes the body on when it can. */
class Hold extends PassingStage {
  override readonly holds = true;
  readonly #exchange: Exchange;
  readonly #max: number;
  #text = "";
  #ended = false;
  constructor(exchange: Exchange, max: number) {
    super();
    this.#exchange = exchange;
    this.#max = max;
  }
  override data(_buffer: number, start: number, end: number): void {
    this.#text += Buffer.from(this.link.memory.subarray(start, end)).toString("latin1");
    if (this.#text.length > this.#max) this.link.fail(413, "too-long", "too long");
  }
  override end(): void {
    this.#ended = true;
    this.#exchange.resume(CONTINUE);
  }
  override drained(): void {
    if (!this.#ended) return;
    this.link.write(Buffer.from(this.#text, "latin1"));
    this.link.end();
  }
}

/** Writes `pieces` of 32 KiB, as long as the client takes them. */
class Source extends PassingStage {
  #left: number;
  readonly sizes: number[] = [];
  constructor(pieces: number) {
    super();
    this.#left = pieces;
  }
  override drained(): void {
    let wrote = 0;
    while (this.#left > 0 && !this.link.full) {
      this.#left--;
      wrote++;
      this.link.write(Buffer.alloc(32_768, "s"));
    }
    this.sizes.push(wrote);
    if (this.#left === 0) this.link.end();
  }
}

const through =
  (make: (exchange: Exchange) => PassingStage, effect: LengthEffect): Hook =>
  (exchange) => {
    exchange.filterRequestBody(make(exchange), effect);
    return CONTINUE;
  };
const back =
  (make: () => PassingStage, effect: LengthEffect): Hook =>
  (exchange) => {
    exchange.filterResponseBody(make(), effect);
    return CONTINUE;
  };
const held =
  (max: number): Hook =>
  (exchange) => {
    exchange.filterRequestBody(new Hold(exchange, max), SAME_LENGTH);
    return SUSPEND;
  };

const open: { stop(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of open.splice(0)) await one.stop();
});

/** Answers each whole request with its body. */
function echo(socket: net.Socket, all: string): void {
  const [head = "", body = ""] = all.split("\r\n\r\n", 2);
  const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? -1);
  const whole = length >= 0 ? body.length === length : all.endsWith("0\r\n\r\n");
  if (whole) socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
}

describe.each(["io_uring", "epoll"] as const)("bodies over %s", (io) => {
  let up: RawUpstream;
  let plane: TestPlane;

  async function start(filters: Filter[], answer = echo, options: Partial<PlaneOptions> = {}): Promise<void> {
    up = await startUpstream(answer);
    plane = await startPlane({ io, endpoints: [up.address], filters, ...options });
    open.push(plane, { stop: () => up.close() });
  }

  async function ask(text: string, until: (received: string) => boolean): Promise<string> {
    const client = new RawClient(plane.port).send(text);
    await client.until(({ received, ended }) => ended || until(received));
    client.socket.destroy();
    await plane.settled();
    return client.received;
  }
  const post = (body: string, ...fields: string[]): string =>
    ["POST / HTTP/1.1", "host: a", `content-length: ${body.length}`, ...fields, "", body].join("\r\n");

  it("a request's body is changed, and keeps its length", async () => {
    await start([filter(through(() => new Upper(), SAME_LENGTH))]);
    expect(await ask(post("hello"), (all) => all.includes("HELLO"))).toContain("content-length: 5");
    expect(up.received[0]).toContain("content-length: 5\r\n");
  });

  it("another length goes on in chunks, both ways, in the order of the filters", async () => {
    await start([
      filter(through(() => new Upper(), SAME_LENGTH)),
      filter(
        through(() => new Twice(), UNKNOWN_LENGTH),
        back(() => new Twice(), UNKNOWN_LENGTH),
      ),
    ]);
    const answer = await ask(post("ab"), (all) => all.endsWith("0\r\n\r\n"));
    expect(up.received[0]).toContain("transfer-encoding: chunked\r\n");
    expect(up.received[0]).not.toContain("content-length");
    expect(up.received[0]).toContain("2\r\nAB\r\n2\r\nAB\r\n3\r\nEND\r\n0\r\n\r\n");
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n[\s\S]*END\r\n0\r\n\r\n$/);
  });

  it("a local reply's body passes the filters before it", async () => {
    const reply: Hook = (exchange) => {
      exchange.respond(403, [], Buffer.from("no\n"));
      return REPLY;
    };
    await start([
      filter(
        () => CONTINUE,
        back(() => new Upper(), UNKNOWN_LENGTH),
      ),
      filter(reply),
    ]);
    expect(await ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n", (all) => all.endsWith("0\r\n\r\n"))).toContain("NO\n");
  });

  it("a held body is read before an upstream is asked, and 100 is sent for it", async () => {
    await start([filter(held(100))]);
    const client = new RawClient(plane.port).send(
      "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n",
    );
    await client.until(({ received }) => received === "HTTP/1.1 100 Continue\r\n\r\n");
    expect(up.connections()).toBe(0);
    client.send("hello");
    await client.until(({ received }) => received.endsWith("hello"));
    expect(up.received[0]).not.toContain("expect");
    client.socket.destroy();
    await plane.settled();
  });

  it("a body that a stage refuses is answered, and the upstream asked nothing", async () => {
    await start([filter(held(4))]);
    const answer = await ask(post("hello"), (all) => all.includes("too-long"));
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(up.connections()).toBe(0);
  });

  it("a client that goes while its body is held leaves nothing", async () => {
    await start([filter(held(100))]);
    const client = new RawClient(plane.port).send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 50\r\n\r\nhalf");
    await new Promise((resolve) => setTimeout(resolve, 50));
    client.socket.destroy();
    await plane.settled();
    expect(up.connections()).toBe(0);
  });

  it("a source writes no faster than its client reads, and to HEAD nothing", async () => {
    const made: Source[] = [];
    const PIECES = 512;
    await start([
      filter((exchange) => {
        const source = new Source(PIECES);
        made.push(source);
        exchange.respondFrom(200, [["content-type", "text/plain"]], PIECES * 32_768, source);
        return REPLY;
      }),
    ]);
    const client = new RawClient(plane.port);
    client.socket.pause();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    await new Promise((resolve) => setTimeout(resolve, 200));
    const before = made[0]?.sizes.reduce((sum, one) => sum + one, 0) ?? 0;
    expect(before).toBeLessThan(PIECES);
    client.socket.resume();
    await client.until(({ received }) => received.length > PIECES * 32_768, 10_000);
    client.received = "";
    client.send("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n");
    await client.until(({ received }) => received.endsWith("\r\n\r\n"));
    expect(client.received).toContain(`content-length: ${PIECES * 32_768}`);
    expect(made[1]?.sizes).toEqual([]);
    client.socket.destroy();
    await plane.settled();
  });
});
