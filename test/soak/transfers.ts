/** Large bodies both ways, whole by their digest, while the worker's memory stays where it is. */
import { createHash, randomBytes } from "node:crypto";
import http from "node:http";
import { pipeline } from "node:stream/promises";
import { Readable } from "node:stream";
import { residentBytes } from "#test/bench/host/process-tree.ts";
import { startWork } from "./gateway-at-work.ts";

export interface Transferred {
  readonly bytes: number;
  /** The most that the worker's memory was above what it was before. */
  readonly grownBytes: number;
  /** What arrived is what was sent, each way. */
  readonly whole: boolean;
}

const MIB = 1 << 20;
/** Before memory is measured: pools and buffers are there by then. */
const WARM_UP_BYTES = 64 * MIB;
const SAMPLE_MS = 50;

/** The same piece again and again, each time with another number at its beginning. */
function* pieces(bytes: number): Generator<Buffer> {
  const piece = randomBytes(MIB);
  for (let sent = 0; sent < bytes; sent += MIB) {
    const next = Buffer.from(piece);
    next.writeUInt32LE(sent / MIB);
    yield next;
  }
}

/** `/down?bytes=N` sends as many and their digest as a trailer; anything else answers with the digest of what it was sent. */
function answer(request: http.IncomingMessage, response: http.ServerResponse): void {
  const hash = createHash("sha256");
  const bytes = new URL(request.url ?? "", "http://up").searchParams.get("bytes");
  if (bytes === null) {
    request.on("data", (chunk: Buffer) => hash.update(chunk));
    request.on("end", () => response.end(hash.digest("hex")));
    return;
  }
  response.writeHead(200, { trailer: "x-digest" });
  const source = Readable.from(pieces(Number(bytes)));
  source.on("data", (chunk: Buffer) => hash.update(chunk));
  source.on("end", () => response.addTrailers({ "x-digest": hash.digest("hex") }));
  // A client that has gone has its own error to show.
  pipeline(source, response).catch(() => response.destroy());
}

function download(port: number, bytes: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    http
      .get({ host: "127.0.0.1", port, path: `/down?bytes=${bytes}`, agent: false }, (response) => {
        const hash = createHash("sha256");
        let received = 0;
        response.on("data", (chunk: Buffer) => {
          hash.update(chunk);
          received += chunk.length;
        });
        response.on("end", () => resolve(received === bytes && hash.digest("hex") === response.trailers["x-digest"]));
        response.on("error", reject);
      })
      .on("error", reject);
  });
}

async function upload(port: number, bytes: number): Promise<boolean> {
  const hash = createHash("sha256");
  const headers = { "content-length": String(bytes) };
  const request = http.request({ host: "127.0.0.1", port, method: "POST", path: "/up", headers, agent: false });
  const answered = new Promise<string>((resolve, reject) => {
    request.on("error", reject);
    request.on("response", (response) => {
      let text = "";
      response.setEncoding("latin1").on("data", (part: string) => (text += part));
      response.on("end", () => resolve(text));
    });
  });
  const source = Readable.from(pieces(bytes));
  source.on("data", (chunk: Buffer) => hash.update(chunk));
  await pipeline(source, request);
  return (await answered) === hash.digest("hex");
}

/** `bytes`, a multiple of a mebibyte, down and up at once. */
export async function transfers(bytes: number): Promise<Transferred> {
  const work = await startWork({ workers: 1, answer });
  try {
    const [worker = 0] = await work.gateway.workers();
    const both = (size: number): Promise<boolean[]> =>
      Promise.all([download(work.port, size), upload(work.port, size)]);
    await both(WARM_UP_BYTES);
    const before = residentBytes(worker);
    let most = before;
    const sampling = setInterval(() => (most = Math.max(most, residentBytes(worker))), SAMPLE_MS);
    const arrived = await both(bytes).finally(() => clearInterval(sampling));
    return { bytes, grownBytes: most - before, whole: arrived.every(Boolean) };
  } finally {
    await work.stop();
  }
}
