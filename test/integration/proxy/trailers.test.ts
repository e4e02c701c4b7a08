/** Trailers from end to end: those that are added, those that a late end keeps, and what becomes of them where they can't be sent. */
import type net from "node:net";
import { describe, expect, it } from "vitest";
import { internName, TRAILER } from "#http/names.ts";
import { PassingStage, SAME_LENGTH } from "#pipeline/body.ts";
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
import type { RetrySpec } from "#snapshot/snapshot.ts";
import { closedAfterEach } from "#test/support/plane-tests.ts";
import { talk } from "#test/support/raw-http.ts";

const RETRY: RetrySpec = {
  attempts: 2,
  onConnectFailure: true,
  onReset: true,
  onTimeout: true,
  onStatus: [503],
  budgetPercent: 100,
  perTryMs: 0,
  hedgeAfterMs: 0,
  bodyBytesMax: 1000,
};
const X_SUM = internName("x-sum");
const SUM = Buffer.from("x-sum");
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const CHUNKED_OK = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-end: 1\r\n\r\n";
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
const CHUNKED_POST = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-end: 1\r\n\r\n";

const { upstream, plane } = closedAfterEach();

type Hook = (exchange: Exchange) => Verdict;

function filter(request: Hook, response: Hook = () => CONTINUE): Filter {
  return {
    name: "test",
    hooks: HOOK_REQUEST_HEAD | HOOK_RESPONSE_HEAD,
    requestHead: request,
    responseHead: response,
    end: () => {},
    dispose: () => {},
  };
}
const pass: Hook = () => CONTINUE;

/** Adds one behind the body, `at` once or some time later, and says in `taken` whether it could. */
class Adds extends PassingStage {
  readonly taken: boolean[] = [];
  readonly #late: boolean;
  constructor(late: boolean) {
    super();
    this.#late = late;
  }
  override end(): void {
    if (this.#late) setTimeout(() => this.#add(), 10);
    else this.#add();
  }
  #add(): void {
    this.taken.push(this.link.makeTrailers()?.add(X_SUM, Buffer.from("7"), 0, 1) ?? false);
    this.link.end();
  }
}

function addsToResponse(stage: Adds, announced: boolean): Hook {
  return (exchange) => {
    if (announced) exchange.response.add(TRAILER, SUM, 0, SUM.length);
    exchange.filterResponseBody(stage, SAME_LENGTH);
    return CONTINUE;
  };
}

function addsToRequest(stage: Adds, announced: boolean): Hook {
  return (exchange) => {
    if (announced) exchange.request.add(TRAILER, SUM, 0, SUM.length);
    exchange.filterRequestBody(stage, SAME_LENGTH);
    return CONTINUE;
  };
}

/** Holds the body, and the head with it, to its end. */
class Holds extends PassingStage {
  override readonly holds = true;
  readonly #exchange: Exchange;
  #parts: Uint8Array[] = [];
  #whole = false;
  constructor(exchange: Exchange) {
    super();
    this.#exchange = exchange;
  }
  override data(_buffer: number, start: number, end: number): void {
    this.#parts.push(this.link.memory.slice(start, end));
  }
  override end(): void {
    this.#whole = true;
    this.link.makeTrailers()?.add(X_SUM, Buffer.from("8"), 0, 1);
    this.#exchange.resume(CONTINUE);
  }
  override drained(): void {
    if (!this.#whole) return;
    this.link.write(Buffer.concat(this.#parts));
    this.link.end();
  }
}

/** Answers each request that is whole. */
function answers(answer: string): (socket: net.Socket, all: string) => void {
  return (socket, all) => {
    const whole = all.endsWith("hi") || /0\r\n(?:[a-z-]+: .*\r\n)*\r\n$/.test(all) || /^GET[^]*\r\n\r\n$/.test(all);
    if (whole) socket.write(answer);
  };
}

const ended = (all: string): boolean => /\r\n0\r\n(?:[a-z-]+: .*\r\n)*\r\n$/.test(all);

describe.each(["io_uring", "epoll"] as const)("trailers over %s", (io) => {
  describe.each([
    ["at once", false],
    ["later", true],
  ])("added %s", (_, late) => {
    it("to a response of known length, which goes on in chunks; the connection stays", async () => {
      const up = await upstream(answers(OK));
      const stage = () => new Adds(late);
      const gateway = await plane(io, {
        endpoints: [up.address],
        filters: [filter(pass, (exchange) => addsToResponse(stage(), true)(exchange))],
      });
      const want =
        "HTTP/1.1 200 OK\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 7\r\n\r\n";
      const answer = await talk(gateway.port, GET + GET, (all) => all.length >= 2 * want.length);
      expect(answer).toBe(want + want);
      await gateway.settled();
      expect(gateway.plane.counters()).toMatchObject({ connections_accepted: 1, trailers_dropped: 0 });
    });

    it("to a request of known length, which goes on in chunks", async () => {
      const up = await upstream(answers(OK));
      const gateway = await plane(io, {
        endpoints: [up.address],
        filters: [filter(addsToRequest(new Adds(late), true))],
      });
      await talk(gateway.port, POST, (all) => all.endsWith("ok"));
      expect(up.received[0]).toMatch(/trailer: x-sum\r\ntransfer-encoding: chunked\r\n/);
      expect(up.received[0]).toMatch(/\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n$/);
      expect(up.received[0]).not.toMatch(/content-length/i);
      await gateway.settled();
    });

    it("to what comes in chunks, beside those that come with it, without a word before", async () => {
      const up = await upstream(answers(CHUNKED_OK));
      const gateway = await plane(io, {
        endpoints: [up.address],
        filters: [
          filter(addsToRequest(new Adds(late), false), (exchange) => addsToResponse(new Adds(late), false)(exchange)),
        ],
      });
      const answer = await talk(gateway.port, CHUNKED_POST, ended);
      expect(up.received[0]).toMatch(/2\r\nhi\r\n0\r\nx-end: 1\r\nx-sum: 7\r\n\r\n$/);
      expect(answer).toMatch(/2\r\nok\r\n0\r\nx-end: 1\r\nx-sum: 7\r\n\r\n$/);
      await gateway.settled();
    });

    it("to nothing that can't have any: a known length of which nobody was told, HTTP/1.0, no content", async () => {
      const up = await upstream(answers(OK));
      const stages: Adds[] = [];
      const adds = (): Adds => {
        const stage = new Adds(late);
        stages.push(stage);
        return stage;
      };
      const gateway = await plane(io, {
        endpoints: [up.address],
        filters: [filter(pass, (exchange) => addsToResponse(adds(), exchange.request.minor === 0)(exchange))],
      });
      expect(await talk(gateway.port, GET, (all) => all.endsWith("ok"))).toBe(OK);
      const old = await talk(gateway.port, GET.replace("1.1", "1.0"), (all) => all.endsWith("ok"));
      expect(old).toBe("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
      await gateway.settled();
      expect(stages.map(({ taken }) => taken)).toEqual([[false], [false]]);
      expect(gateway.plane.counters()["trailers_dropped"]).toBe(2);
    });
  });

  it("that came are dropped for a client of HTTP/1.0, and counted", async () => {
    const up = await upstream(answers(CHUNKED_OK));
    const gateway = await plane(io, { endpoints: [up.address] });
    const answer = await talk(gateway.port, GET.replace("1.1", "1.0"), (all) => all.endsWith("ok"));
    expect(answer).toBe("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nok");
    await gateway.settled();
    expect(gateway.plane.counters()["trailers_dropped"]).toBe(1);
  });

  it("of a request that is held go without a word before: its head has not left", async () => {
    const up = await upstream(answers(OK));
    const held: Hook = (exchange) => {
      exchange.filterRequestBody(new Holds(exchange), SAME_LENGTH);
      return SUSPEND;
    };
    const gateway = await plane(io, { endpoints: [up.address], filters: [filter(held)] });
    await talk(gateway.port, POST, (all) => all.endsWith("ok"));
    expect(up.received[0]).toMatch(/transfer-encoding: chunked\r\n[^]*\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 8\r\n\r\n$/);
    await talk(gateway.port, CHUNKED_POST, (all) => all.endsWith("ok"));
    expect(up.received.join("")).toMatch(/2\r\nhi\r\n0\r\nx-end: 1\r\nx-sum: 8\r\n\r\n$/);
    await gateway.settled();
  });

  it("go behind a local reply, from a filter before it and from its own source", async () => {
    const source = (): Adds => {
      const stage = new Adds(false);
      stage.drained = () => {
        stage.drained = () => {};
        stage.end();
      };
      return stage;
    };
    const reply: Hook = (exchange) => {
      if (exchange.request.pathText() === "/source") exchange.respondFrom(200, [], -1, source());
      else exchange.respond(403, [], Buffer.from("no\n"));
      return REPLY;
    };
    const outer = filter(pass, (exchange) =>
      exchange.response.status === 403 ? addsToResponse(new Adds(false), true)(exchange) : CONTINUE,
    );
    const gateway = await plane(io, { endpoints: [], filters: [outer, filter(reply)] });
    const refused = await talk(gateway.port, GET, ended);
    expect(refused).toMatch(/transfer-encoding: chunked\r\n\r\n3\r\nno\n\r\n0\r\nx-sum: 7\r\n\r\n$/);
    const made = await talk(gateway.port, GET.replace("/", "/source"), (all) => all.endsWith("x-sum: 7\r\n\r\n"));
    expect(made).toMatch(/transfer-encoding: chunked\r\n\r\n0\r\nx-sum: 7\r\n\r\n$/);
    await gateway.settled();
  });

  it("are sent again with a request that is tried again", async () => {
    let failures = 1;
    const up = await upstream((socket, all) => {
      if (!all.endsWith("x-end: 1\r\n\r\n")) return;
      if (failures-- > 0) socket.write("HTTP/1.1 503 Later\r\ncontent-length: 0\r\n\r\n");
      else socket.write(OK);
    });
    const gateway = await plane(io, { endpoints: [up.address], upstream: { retry: RETRY } });
    const put = CHUNKED_POST.replace("POST", "PUT");
    expect(await talk(gateway.port, put, (all) => all.endsWith("ok"))).toBe(OK);
    const sent = up.received.join("").match(/2\r\nhi\r\n0\r\nx-end: 1\r\n\r\n/g);
    expect(sent?.length).toBe(2);
    await gateway.settled();
  });

  it("are what TE asks for: the endpoint is told that they are kept", async () => {
    const up = await upstream(answers(CHUNKED_OK));
    const gateway = await plane(io, { endpoints: [up.address] });
    const asked = "GET / HTTP/1.1\r\nHost: a\r\nConnection: te\r\nTE: trailers, gzip\r\n\r\n";
    const answer = await talk(gateway.port, asked, ended);
    expect(up.received[0]).toContain("te: trailers\r\nconnection: te\r\n");
    expect(answer).toMatch(/0\r\nx-end: 1\r\n\r\n$/);
    await gateway.settled();
  });
});
