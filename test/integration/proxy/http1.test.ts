/** The data plane from socket to socket over both drivers: what a client and an upstream see, byte for byte. */
import { createHash, randomBytes } from "node:crypto";
import http from "node:http";
import net from "node:net";
import { describe, expect, it } from "vitest";
import { sleep } from "#test/support/data-plane.ts";
import { closedAfterEach } from "#test/support/plane-tests.ts";
import { requests, talk } from "#test/support/raw-http.ts";

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const GET = "GET /a HTTP/1.1\r\nHost: one.example\r\n\r\n";

const { upstream, plane, after } = closedAfterEach();

/** Answers every bodyless request with OK. */
function answersOk(): (socket: net.Socket, all: string) => void {
  const answered = new WeakMap<net.Socket, number>();
  return (socket, all) => {
    for (let i = answered.get(socket) ?? 0; i < requests(all); i++) socket.write(OK);
    answered.set(socket, requests(all));
  };
}

describe.each(["io_uring", "epoll"] as const)("HTTP/1.1 over %s", (io) => {
  it("passes a request on, says who asks, and passes the response back", async () => {
    const up = await upstream(answersOk());
    const gateway = await plane(io, { endpoints: [up.address] });
    const answer = await talk(gateway.port, GET, (all) => all.endsWith("ok"));
    expect(answer).toBe(OK);
    expect(up.received[0]).toBe(
      "GET /a HTTP/1.1\r\nHost: one.example\r\nx-forwarded-for: 127.0.0.1\r\nx-forwarded-proto: http\r\n\r\n",
    );
    await gateway.settled();
  });

  it("keeps connections alive on both sides", async () => {
    const up = await upstream(answersOk());
    const gateway = await plane(io, { endpoints: [up.address] });
    const socket = net.connect(gateway.port, "127.0.0.1");
    for (let i = 0; i < 20; i++) {
      socket.write(GET);
      await new Promise((resolve) => socket.once("data", resolve));
    }
    socket.destroy();
    expect(up.connections()).toBe(1);
    expect(gateway.plane.counters()["connections_accepted"]).toBe(1);
    await gateway.settled();
  });

  it("answers pipelined requests in order", async () => {
    const up = await upstream((socket, all) => {
      const paths = [...all.matchAll(/GET (\S+) /g)].map((match) => match[1] as string);
      const path = paths.at(-1) as string;
      // The first answer takes longest.
      setTimeout(
        () => socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${path.length}\r\n\r\n${path}`),
        path === "/0" ? 60 : 1,
      );
    });
    const gateway = await plane(io, { endpoints: [up.address] });
    const pipeline = Array.from({ length: 10 }, (_, i) => `GET /${i} HTTP/1.1\r\nHost: a\r\n\r\n`).join("");
    const answer = await talk(gateway.port, pipeline, (all) => all.endsWith("/9"));
    expect([...answer.matchAll(/\r\n\r\n(\/\d)/g)].map((match) => match[1])).toEqual(
      Array.from({ length: 10 }, (_, i) => `/${i}`),
    );
    await gateway.settled();
  });

  it("is indifferent to where a request is cut", async () => {
    const up = await upstream((socket, all) => {
      if (all.endsWith("0\r\n\r\n")) socket.write(OK);
    });
    const gateway = await plane(io, { endpoints: [up.address] });
    const request = "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    for (let cut = 1; cut < request.length; cut += 3) {
      const answer = await talk(gateway.port, [request.slice(0, cut), request.slice(cut)], (all) => all.endsWith("ok"));
      expect(answer, `cut at ${cut}`).toBe(OK);
    }
    for (const all of up.received.join("").split("POST").slice(1))
      expect(all).toMatch(/\r\n\r\n(5\r\nhello|[1-4]\r\n)/);
    await gateway.settled();
  });

  it("passes chunked bodies with trailers, both ways", async () => {
    const up = await upstream((socket, all) => {
      if (!all.includes("x-sum: 7\r\n\r\n")) return;
      socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-end\r\n\r\n3\r\nabc\r\n");
      setTimeout(() => socket.write("4;ext=1\r\ndefg\r\n0\r\nx-end: 1\r\n\r\n"), 10);
    });
    const gateway = await plane(io, { endpoints: [up.address] });
    const request =
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n2;a=b\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n";
    const answer = await talk(gateway.port, request, (all) => all.endsWith("x-end: 1\r\n\r\n"));
    expect(answer).toContain("3\r\nabc\r\n4\r\ndefg\r\n0\r\nx-end: 1\r\n\r\n");
    expect(up.received[0]).toContain("2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n");
    await gateway.settled();
  });

  it("relays 100 Continue before the body", async () => {
    const up = await upstream((socket, all) => {
      if (all.endsWith("\r\n\r\n")) socket.write("HTTP/1.1 100 Continue\r\n\r\n");
      if (all.endsWith("body")) socket.write(OK);
    });
    const gateway = await plane(io, { endpoints: [up.address] });
    const socket = net.connect(gateway.port, "127.0.0.1").setEncoding("latin1");
    let all = "";
    socket.on("data", (data) => (all += String(data)));
    socket.write("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    while (!all.includes("100 Continue\r\n\r\n")) await sleep(5);
    socket.write("body");
    while (!all.endsWith("ok")) await sleep(5);
    expect(all).toBe(`HTTP/1.1 100 Continue\r\n\r\n${OK}`);
    socket.destroy();
    await gateway.settled();
  });

  it("knows that HEAD, 204 and 304 have no body", async () => {
    const up = await upstream((socket, all) => {
      const last = all.slice(all.lastIndexOf("\r\n\r\n", all.length - 5) + 1);
      if (/HEAD/.test(last)) socket.write("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
      else if (/\/204/.test(last)) socket.write("HTTP/1.1 204 No Content\r\n\r\n");
      else if (/\/304/.test(last)) socket.write('HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\netag: "x"\r\n\r\n');
      else socket.write(OK);
    });
    const gateway = await plane(io, { endpoints: [up.address] });
    const pipeline = ["HEAD /", "GET /204", "GET /304", "GET /"].map((line) => `${line} HTTP/1.1\r\nHost: a\r\n\r\n`);
    const answer = await talk(gateway.port, pipeline.join(""), (all) => all.endsWith("ok"));
    expect(answer).toBe(
      "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n" +
        `HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\netag: "x"\r\n\r\n${OK}`,
    );
    await gateway.settled();
  });

  it("serves HTTP/1.0: closes, or keeps alive when asked, and never sends it chunks", async () => {
    const up = await upstream((socket) => {
      socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
    });
    const gateway = await plane(io, { endpoints: [up.address] });
    const closed = await talk(gateway.port, "GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    expect(closed).toBe("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nok");
    await gateway.settled();
  });

  it("delimits a response that ends with its connection", async () => {
    const up = await upstream((socket) => {
      socket.end("HTTP/1.1 200 OK\r\n\r\nuntil the end");
    });
    const gateway = await plane(io, { endpoints: [up.address] });
    const answer = await talk(gateway.port, GET, (all) => all.endsWith("0\r\n\r\n"));
    expect(answer).toBe("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nd\r\nuntil the end\r\n0\r\n\r\n");
    await gateway.settled();
  });

  it("streams large bodies both ways, whole and with bounded memory", async () => {
    const server = http.createServer((request, response) => {
      const hash = createHash("sha256");
      request.on("data", (chunk: Buffer) => hash.update(chunk));
      request.on("end", () => {
        response.writeHead(200, { "x-hash": hash.digest("hex"), "content-length": body.length });
        response.end(body);
      });
    });
    const body = randomBytes(24 * 1024 * 1024);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    after(() => new Promise((resolve) => server.close(() => resolve())));
    const gateway = await plane(io, { endpoints: [`127.0.0.1:${(server.address() as net.AddressInfo).port}`] });
    let lowest = Number.POSITIVE_INFINITY;
    const watch = setInterval(() => (lowest = Math.min(lowest, gateway.plane.counters()["buffers_free"] ?? 0)), 5);
    const hash = await new Promise<string>((resolve, reject) => {
      const request = http.request({
        port: gateway.port,
        method: "POST",
        agent: false,
        headers: { host: "a", "content-length": body.length },
      });
      request.on("error", reject);
      request.on("response", (response) => {
        const got = createHash("sha256");
        let slow = 0;
        response.on("data", (chunk: Buffer) => {
          got.update(chunk);
          if (slow++ % 50 === 0) {
            response.pause();
            setTimeout(() => response.resume(), 5);
          }
        });
        response.on("end", () => {
          expect(response.headers["x-hash"]).toBe(createHash("sha256").update(body).digest("hex"));
          resolve(got.digest("hex"));
        });
      });
      request.end(body);
    });
    clearInterval(watch);
    expect(hash).toBe(createHash("sha256").update(body).digest("hex"));
    // Buffers in use at the worst moment: the ring's, both watermarks, and what one batch of receives can add.
    expect((gateway.plane.counters()["buffers_all"] ?? 0) - lowest).toBeLessThan(700);
    server.closeAllConnections();
    await gateway.settled();
  });

  it("splices after an upgrade, with half-close", async () => {
    const up = await upstream((socket, all) => {
      if (all.endsWith("\r\n\r\n")) {
        socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nfirst ");
      } else {
        socket.write(`[${all.slice(all.indexOf("\r\n\r\n") + 4)}]`);
      }
    });
    const gateway = await plane(io, { endpoints: [up.address] });
    const socket = net.connect({ port: gateway.port, host: "127.0.0.1", allowHalfOpen: true }).setEncoding("latin1");
    let all = "";
    let ended = false;
    socket.on("data", (data) => (all += String(data)));
    socket.on("end", () => (ended = true));
    socket.write("GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
    while (!all.endsWith("first ")) await sleep(5);
    expect(all).toMatch(/^HTTP\/1\.1 101 /);
    expect(up.received[0]).toMatch(/connection: upgrade/i);
    socket.write("ping");
    while (!all.endsWith("[ping]")) await sleep(5);
    socket.end();
    while (!ended) await sleep(5);
    await gateway.settled();
  });
});

describe.each(["io_uring", "epoll"] as const)("failures over %s", (io) => {
  const status = (answer: string): string => answer.slice(9, 12);
  const code = (answer: string): string => /"code":"([^"]+)"/.exec(answer)?.[1] ?? "";

  it("answers 404 without a route and leaves the connection usable", async () => {
    const gateway = await plane(io, { endpoints: [], routes: [] });
    const answer = await talk(gateway.port, GET + GET, (all) => all.split("no-route").length > 4);
    expect(answer.match(/HTTP\/1\.1 404 Not Found/g)).toHaveLength(2);
    await gateway.settled();
  });

  it("tries the next endpoint, then answers 502", async () => {
    const dead = await upstream(() => {});
    await dead.close();
    const up = await upstream(answersOk());
    const both = await plane(io, { endpoints: [dead.address, up.address] });
    for (let i = 0; i < 4; i++) expect(status(await talk(both.port, GET, (all) => all.endsWith("ok")))).toBe("200");
    const none = await plane(io, { endpoints: [dead.address] });
    const answer = await talk(none.port, GET, (all) => all.includes("}"));
    expect([status(answer), code(answer)]).toEqual(["502", "connect-failed"]);
    await none.settled();
  });

  it("tells a silent upstream (504) from one that closes (502), resets (502) or talks nonsense (502)", async () => {
    const cases: [string, (socket: net.Socket) => void, string, string][] = [
      ["silent", () => {}, "504", "upstream-timeout"],
      ["closes", (socket) => socket.end(), "502", "upstream-closed"],
      ["resets", (socket) => socket.resetAndDestroy(), "502", "upstream-reset"],
      ["nonsense", (socket) => socket.write("SSH-2.0-hello\r\n\r\n"), "502", "upstream-invalid"],
    ];
    for (const [name, behave, wantedStatus, wantedCode] of cases) {
      const up = await upstream(behave);
      const gateway = await plane(io, { endpoints: [up.address], timeouts: { requestMs: 300 } });
      const answer = await talk(gateway.port, GET, (all) => all.includes("}"));
      expect([status(answer), code(answer)], name).toEqual([wantedStatus, wantedCode]);
      await gateway.settled();
    }
  });

  it("sends an idempotent request again when its idle connection was dead, and no other", async () => {
    const up = await upstream((socket, all, index) => {
      if (requests(all) === 1) socket.write(OK);
      else if (index === 0) socket.resetAndDestroy();
      else socket.write(OK);
    });
    const gateway = await plane(io, { endpoints: [up.address] });
    await talk(gateway.port, GET, (all) => all.endsWith("ok"));
    const second = await talk(gateway.port, GET, (all) => all.endsWith("ok") || all.includes("}"));
    expect(second).toBe(OK);
    expect(up.connections()).toBe(2);
    await gateway.settled();
  });

  it("cuts a response that the upstream cuts", async () => {
    const up = await upstream((socket) => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this");
      setTimeout(() => socket.destroy(), 20);
    });
    const gateway = await plane(io, { endpoints: [up.address] });
    const answer = await talk(gateway.port, GET);
    expect(answer).toBe("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this");
    expect(gateway.plane.counters()["outcome_response_cut"]).toBe(1);
    await gateway.settled();
  });

  it("refuses what is malformed without a byte to the upstream, and closes", async () => {
    const up = await upstream(answersOk());
    const gateway = await plane(io, { endpoints: [up.address] });
    const answer = await talk(gateway.port, "GET / HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n");
    expect(status(answer)).toBe("400");
    expect(answer).toContain("connection: close");
    expect(up.connections()).toBe(0);
    await gateway.settled();
  });

  it("gives up on a head that drips (408) and on a body that stops (408)", async () => {
    const up = await upstream(() => {});
    const gateway = await plane(io, {
      endpoints: [up.address],
      settings: { headTimeoutMs: 200, bodyIdleTimeoutMs: 200 },
    });
    expect(status(await talk(gateway.port, "GET / HT"))).toBe("408");
    const body = await talk(gateway.port, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    expect(status(body)).toBe("408");
    await gateway.settled();
  });

  it("closes an idle connection after its time", async () => {
    const up = await upstream(answersOk());
    const gateway = await plane(io, { endpoints: [up.address], settings: { idleTimeoutMs: 200, headTimeoutMs: 100 } });
    const started = performance.now();
    expect(await talk(gateway.port, GET)).toBe(OK);
    // Not before, and so not by the time for heads. A busy machine makes it later only.
    expect(performance.now() - started).toBeGreaterThan(150);
    await gateway.settled();
  });

  it("lets go of everything when the client leaves in the middle", async () => {
    const up = await upstream((socket) => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nstart");
      const more = setInterval(() => socket.write("more"), 20);
      socket.on("close", () => clearInterval(more));
    });
    const gateway = await plane(io, { endpoints: [up.address] });
    await talk(gateway.port, GET, (all) => all.endsWith("start"));
    const socket = net.connect(gateway.port, "127.0.0.1");
    socket.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc");
    await sleep(50);
    socket.destroy();
    await gateway.settled();
    expect(up.sockets.size).toBe(0);
  });
});
