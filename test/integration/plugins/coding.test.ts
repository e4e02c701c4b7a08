/** Codings and held bodies through the engine: bytes in, bytes out, slow and lost clients, bodies that lie. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { join } from "node:path";
import zlib from "node:zlib";
import { afterEach, describe, expect, it } from "vitest";
import type { CompressConfig } from "#snapshot/builtin-filters.ts";
import { sleep } from "#test/support/data-plane.ts";
import { get, serve, type Configured, type Served } from "./support.ts";

const COMPRESS: CompressConfig = {
  codings: ["zstd", "br", "gzip"],
  contentTypes: ["text/*"],
  bytesMin: 100,
  levels: {},
};
const compress: Configured = { name: "compress", config: COMPRESS };
const decompress: Configured = {
  name: "decompress",
  config: { request: true, response: "unless-accepted", bytesMax: 5_000_000 },
};

/** Compresses, but not to nothing. */
const TEXT = Buffer.from(Array.from({ length: 200_000 }, (_, i) => `line ${i * 7919} of it\n`).join(""));
const DECODE: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
  gzip: (bytes) => zlib.gunzipSync(bytes),
  br: (bytes) => zlib.brotliDecompressSync(bytes),
  zstd: (bytes) => zlib.zstdDecompressSync(bytes),
};
const ENCODE: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
  gzip: (bytes) => zlib.gzipSync(bytes),
  deflate: (bytes) => zlib.deflateSync(bytes),
  br: (bytes) => zlib.brotliCompressSync(bytes, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 3 } }),
  zstd: (bytes) => zlib.zstdCompressSync(bytes),
};

/** As people write, which is what levels are made for. */
const PROSE = readFileSync(join(import.meta.dirname, "../../../README.md"));
const prose: http.RequestListener = (_request, response) => {
  response.writeHead(200, { "content-type": "text/markdown", "content-length": PROSE.length });
  response.end(PROSE);
};
const text: http.RequestListener = (_request, response) => {
  response.writeHead(200, { "content-type": "text/plain", "content-length": TEXT.length, etag: '"1"' });
  response.end(TEXT);
};
/** Answers with what it was sent, and how. */
const echo: http.RequestListener = (request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const body = Buffer.concat(chunks);
    const seen = {
      coding: request.headers["content-encoding"] ?? "",
      framing: request.headers["transfer-encoding"] ?? "",
    };
    response.writeHead(200, { "x-seen": JSON.stringify(seen), "content-length": body.length });
    response.end(body);
  });
};

describe.each(["io_uring", "epoll"] as const)("bodies of built-in filters over %s", (io) => {
  let served: Served | undefined;
  const start = async (filters: Configured[], listener: http.RequestListener): Promise<Served> => {
    served = await serve(io, filters, listener);
    return served;
  };

  afterEach(async () => {
    await served?.plane.settled();
    await served?.stop();
    served = undefined;
  });

  it.each(["gzip", "br", "zstd"])("%s: 4 MB of text, whole and smaller", async (coding) => {
    const { port } = await start([compress], text);
    const { headers, body } = await get(port, "/", { headers: { "accept-encoding": coding } });
    expect([headers["content-encoding"], headers.etag, headers["content-length"]]).toEqual([
      coding,
      'W/"1"',
      undefined,
    ]);
    expect(body.length).toBeLessThan(TEXT.length / 2);
    expect(DECODE[coding]?.(body).equals(TEXT)).toBe(true);
  });

  it.each([
    ["gzip", 1, 9, 5],
    ["br", 1, 9, 4],
    ["zstd", 1, 15, 3],
  ] as const)("%s: levels %d and %d, and %d where nothing is said", async (coding, low, high, usual) => {
    const sizeAt = async (level?: number): Promise<number> => {
      const config = { ...COMPRESS, levels: level === undefined ? {} : { [coding]: level } };
      const { port, plane, stop } = await serve(io, [{ name: "compress", config }], prose);
      const { body } = await get(port, "/", { headers: { "accept-encoding": coding } });
      expect(DECODE[coding]?.(body).equals(PROSE)).toBe(true);
      await plane.settled();
      await stop();
      return body.length;
    };
    const [least, most, set, unset] = [await sizeAt(high), await sizeAt(low), await sizeAt(usual), await sizeAt()];
    expect(least).toBeLessThan(most);
    expect(set).toBe(unset);
    expect(unset).not.toBe(most);
  });

  it("a local reply is compressed too", async () => {
    const reply: Configured = {
      name: "static-response",
      config: { status: 200, headers: { "content-type": "text/plain" }, body: "x".repeat(5000) },
    };
    const { port } = await start([compress, reply], text);
    const { body } = await get(port, "/", { headers: { "accept-encoding": "gzip" } });
    expect(zlib.gunzipSync(body).toString()).toBe("x".repeat(5000));
  });

  it.each<[string, Configured[], boolean]>([
    ["compress", [compress], false],
    ["decompress", [decompress], true],
    ["buffer", [{ name: "buffer", config: { bytesMax: 5_000_000 } }], false],
  ])("trailers outlast %s, both ways", async (_, filters, isCoded) => {
    const text = TEXT.subarray(0, 300_000);
    const sent = isCoded ? zlib.gzipSync(text) : text;
    const coded = isCoded ? { "content-encoding": "gzip" } : {};
    const { port } = await start(filters, (request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const whole = Buffer.concat(chunks).equals(text);
        response.writeHead(200, { "content-type": "text/plain", trailer: "x-end", ...coded });
        response.write(sent);
        response.addTrailers({ "x-end": `${whole ? "whole" : "other"} ${request.trailers["x-sum"]}` });
        response.end();
      });
    });
    const accepts = filters.includes(compress) ? { "accept-encoding": "gzip" } : {};
    const headers = { trailer: "x-sum", ...coded, ...accepts };
    const asked = http.request({ host: "127.0.0.1", port, method: "POST", headers, agent: false });
    asked.write(sent);
    asked.addTrailers({ "x-sum": "7" });
    asked.end();
    const [answer] = (await once(asked, "response")) as [http.IncomingMessage];
    const body = Buffer.concat((await answer.toArray()) as Buffer[]);
    expect(answer.trailers).toEqual({ "x-end": "whole 7" });
    const isPacked = answer.headers["content-encoding"] === "gzip";
    expect([isPacked, (isPacked ? zlib.gunzipSync(body) : body).equals(text)]).toEqual([
      filters.includes(compress),
      true,
    ]);
  });

  it("a slow client stops the compressor and the upstream", async () => {
    let sent = 0;
    const { port } = await start([compress], (_request, response) => {
      response.writeHead(200, { "content-type": "text/plain" });
      // Nothing to compress away: what is held is what was sent.
      const noise = Buffer.alloc(65_536);
      const more = (): void => {
        while (sent < 2000) {
          sent++;
          for (let i = 0; i < noise.length; i += 4) noise.writeInt32LE((Math.random() * 2 ** 31) | 0, i);
          if (!response.write(Buffer.from(noise))) return void response.once("drain", more);
        }
        response.end();
      };
      more();
    });
    const socket = net.connect(port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write("GET / HTTP/1.1\r\nhost: a\r\naccept-encoding: gzip\r\n\r\n");
    socket.pause();
    await expect.poll(() => sent).toBeGreaterThan(0);
    // Until nothing more has left for a while, however long that takes.
    let before = 0;
    while (sent !== before) {
      before = sent;
      expect(sent).toBeLessThan(300);
      await sleep(300);
    }
    socket.destroy();
  });

  it("events leave as they come", async () => {
    let finish: () => void = () => {};
    const { port } = await start([compress], (_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write("data: one\n\n");
      finish = () => response.end("data: two\n\n");
    });
    const first = await new Promise<string>((resolve, reject) => {
      const outgoing = http.request(
        { host: "127.0.0.1", port, agent: false, headers: { "accept-encoding": "gzip" } },
        (incoming) => {
          const plain = incoming.pipe(zlib.createGunzip());
          plain.on("data", (chunk: Buffer) => {
            if (String(chunk).includes("two")) resolve(String(chunk));
            else finish();
          });
          plain.on("error", reject);
        },
      );
      outgoing.end();
    });
    expect(first).toBe("data: two\n\n");
  });

  it.each(["gzip", "deflate", "br", "zstd"])("a request in %s arrives as itself", async (coding) => {
    const { port } = await start([decompress], echo);
    const headers = { "content-encoding": coding };
    const answer = await get(port, "/", { method: "POST", headers, body: ENCODE[coding]?.(TEXT) });
    expect(JSON.parse(String(answer.headers["x-seen"]))).toEqual({ coding: "", framing: "chunked" });
    expect(answer.body.equals(TEXT)).toBe(true);
  });

  it("a request that is no such coding, is cut short, or grows too large is refused", async () => {
    const { port } = await start([decompress], echo);
    const post = (body: Buffer) => get(port, "/", { method: "POST", headers: { "content-encoding": "gzip" }, body });
    expect((await post(Buffer.from("no gzip at all"))).status).toBe(400);
    expect((await post(zlib.gzipSync(TEXT).subarray(0, 5000))).status).toBe(400);
    expect((await post(zlib.gzipSync(Buffer.alloc(20_000_000)))).status).toBe(413);
  });

  it("a response is decoded for who takes no coding, and passed on to who does", async () => {
    const packed = zlib.gzipSync(TEXT);
    const { port } = await start([decompress], (_request, response) => {
      response.writeHead(200, { "content-encoding": "gzip", "content-length": packed.length });
      response.end(packed);
    });
    const plain = await get(port, "/");
    expect([plain.headers["content-encoding"], plain.body.equals(TEXT)]).toEqual([undefined, true]);
    const wanted = await get(port, "/", { headers: { "accept-encoding": "gzip" } });
    expect([wanted.headers["content-encoding"], wanted.body.equals(packed)]).toEqual(["gzip", true]);
  });

  it("a response that is cut in its coding is cut for the client", async () => {
    const packed = zlib.gzipSync(TEXT).subarray(0, 50_000);
    const { port } = await start([decompress], (_request, response) => {
      response.writeHead(200, { "content-encoding": "gzip", "content-length": packed.length });
      response.end(packed);
    });
    await expect(get(port, "/")).rejects.toThrow();
  });

  it("buffer: the upstream hears of a request when it is whole, in order, byte by byte too", async () => {
    let asked = 0;
    const { port } = await start([{ name: "buffer", config: { bytesMax: 5_000_000 } }], (request, response) => {
      asked++;
      echo(request, response);
    });
    const outgoing = http.request({ host: "127.0.0.1", port, method: "POST", agent: false });
    const answer = new Promise<Buffer>((resolve, reject) => {
      outgoing.on("error", reject);
      outgoing.on("response", (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.on("end", () => resolve(Buffer.concat(chunks)));
      });
    });
    for (let i = 0; i < 20; i++) {
      outgoing.write(TEXT.subarray(i, i + 1));
      await sleep(2);
    }
    expect(asked).toBe(0);
    outgoing.end(TEXT.subarray(20));
    expect((await answer).equals(TEXT)).toBe(true);
    expect(asked).toBe(1);
  });

  it("buffer: 413 beyond the bound, announced or not", async () => {
    const { port } = await start([{ name: "buffer", config: { bytesMax: 1000 } }], echo);
    const body = Buffer.alloc(1001);
    expect((await get(port, "/", { method: "POST", body })).status).toBe(413);
    const headers = { "transfer-encoding": "chunked" };
    expect((await get(port, "/", { method: "POST", headers, body })).status).toBe(413);
    expect((await get(port, "/", { method: "POST", headers, body: body.subarray(1) })).status).toBe(200);
  });
});
