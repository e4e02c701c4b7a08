/**
 * Nanoseconds per head for the HTTP/1.1 codec, one line a figure: `node test/bench/micro/http1.ts [seconds per figure]`.
 *
 * Best of many short rounds, since the machine is shared. Heads stand at changing offsets in one arena, as on the data
 * plane, so that alignment is averaged over and nothing stays in a register from one to the next.
 */
import { defined } from "#core/assert.ts";
import { encodeRequestHead, encodeResponseHead, type RequestEncodeOptions } from "#http/h1/encode.ts";
import { ChunkedDecoder, CHUNK_DATA } from "#http/h1/chunked.ts";
import { parseRequestHead } from "#http/h1/parse-request.ts";
import { parseResponseHead } from "#http/h1/parse-response.ts";
import { FRAMING_NONE, Head, METHOD_GET } from "#http/head.ts";
import { DEFAULT_HEAD_LIMITS } from "#http/limits.ts";
import { internName, X_REQUEST_ID } from "#http/names.ts";

const REQUESTS: readonly (readonly [string, readonly string[]])[] = [
  ["wrk, 1 field", ["GET / HTTP/1.1", "Host: 127.0.0.1:8080"]],
  [
    "curl, 4 fields",
    [
      "GET /orders/1042?expand=lines HTTP/1.1",
      "Host: shop.acme.example",
      "User-Agent: curl/8.5.0",
      "Accept: */*",
      "X-Token: s3cret",
    ],
  ],
  [
    "service, 8 fields",
    [
      "POST /v1/orders HTTP/1.1",
      "host: shop.acme.example",
      "user-agent: orders/1.4.2",
      "accept: application/json",
      "accept-encoding: gzip, br",
      "content-type: application/json",
      "content-length: 118",
      "x-request-id: 0b6d3c1e-6f0c-4d2e-9a77-3f2f8f6a1c55",
      "connection: keep-alive",
    ],
  ],
  [
    "browser, 12 fields",
    [
      "GET /assets/app.4f1c9e.js HTTP/1.1",
      "Host: shop.acme.example",
      "Connection: keep-alive",
      'sec-ch-ua: "Chromium";v="130", "Not?A_Brand";v="99"',
      "sec-ch-ua-mobile: ?0",
      "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
      'sec-ch-ua-platform: "Linux"',
      "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
      "Sec-Fetch-Site: same-origin",
      "Sec-Fetch-Mode: cors",
      "Accept-Encoding: gzip, deflate, br, zstd",
      "Accept-Language: en-GB,en;q=0.9",
      "Cookie: session=8c1f7e0d2b6a4f5e9d3c; theme=dark; consent=1",
    ],
  ],
];

const RESPONSE = [
  "HTTP/1.1 200 OK",
  "Server: nginx/1.22.1",
  "Date: Tue, 05 Nov 2024 10:11:12 GMT",
  "Content-Type: application/json",
  "Content-Length: 118",
  "Connection: keep-alive",
  'ETag: "5f3-18e4a"',
];

const seconds = Number(process.argv[2] ?? "0.5");
const COPIES = 64;
const SPACING = 1031;
/** One timed round is about a millisecond: short enough that some rounds meet no neighbour on the core. */
const ROUND_COPIES = 40;
const OUT = 1 << 18;

const memory = new Uint8Array(1 << 20);
const scratchStart = 1 << 19;
const free = [scratchStart, scratchStart + 32_768, scratchStart + 65_536];
const scratch = {
  memory,
  regionBytes: 32_768,
  allocate: (): number => free.pop() ?? -1,
  free: (offset: number): void => void free.push(offset),
};

/** Puts copies of the message at odd distances and answers its length. */
function place(message: string): number {
  const bytes = Buffer.from(message, "latin1");
  for (let copy = 0; copy < COPIES; copy++) memory.set(bytes, copy * SPACING + 7);
  return bytes.length;
}

function measure(name: string, bytes: number, run: (start: number) => number): void {
  let best = Infinity;
  const until = process.hrtime.bigint() + BigInt(Math.round(seconds * 1e9));
  let now = process.hrtime.bigint();
  while (now < until) {
    const began = now;
    for (let round = 0; round < ROUND_COPIES; round++) {
      for (let copy = 0; copy < COPIES; copy++) {
        if (run(copy * SPACING + 7) <= 0) throw new Error(`${name}: refused`);
      }
    }
    now = process.hrtime.bigint();
    best = Math.min(best, Number(now - began) / (ROUND_COPIES * COPIES));
  }
  console.log(`${name.padEnd(42)} ${String(bytes).padStart(5)} bytes ${best.toFixed(0).padStart(6)} ns`);
}

const limits = DEFAULT_HEAD_LIMITS;
const head = new Head(scratch);
const append = Buffer.from("x-forwarded-for: 203.0.113.7\r\nx-forwarded-proto: http\r\n");
memory.set(append, OUT - 256);
const requestOptions: RequestEncodeOptions = {
  dropForwarded: true,
  appendStart: OUT - 256,
  appendEnd: OUT - 256 + append.length,
  framing: FRAMING_NONE,
  upgrade: false,
};
const responseOptions = { minor: 1, framing: 0, keepAlive: true, appendStart: 0, appendEnd: 0, upgrade: false };
const requestId = Buffer.from("0b6d3c1e-6f0c-4d2e-9a77-3f2f8f6a1c55");
internName("x-token");

for (const [name, lines] of REQUESTS) {
  const length = place(`${lines.join("\r\n")}\r\n\r\n`);
  measure(`parse request: ${name}`, length, (start) => parseRequestHead(head, start, start + length, limits));
  measure("  and encode", length, (start) => {
    parseRequestHead(head, start, start + length, limits);
    requestOptions.framing = head.framing;
    return encodeRequestHead(head, OUT, OUT + 4096, requestOptions);
  });
  measure("  and set one field, encode", length, (start) => {
    parseRequestHead(head, start, start + length, limits);
    head.set(X_REQUEST_ID, requestId, 0, requestId.length);
    requestOptions.framing = head.framing;
    return encodeRequestHead(head, OUT, OUT + 4096, requestOptions);
  });
}

const responseLength = place(`${RESPONSE.join("\r\n")}\r\n\r\n`);
measure("parse response: 6 fields", responseLength, (start) =>
  parseResponseHead(head, start, start + responseLength, limits, METHOD_GET),
);
measure("  and encode", responseLength, (start) => {
  parseResponseHead(head, start, start + responseLength, limits, METHOD_GET);
  responseOptions.framing = head.framing;
  return encodeResponseHead(head, OUT, OUT + 4096, responseOptions);
});

const chunk = 100;
const chunkedLength = place(`${`64\r\n${"d".repeat(chunk)}\r\n`.repeat(8)}0\r\n\r\n`);
const decoder = new ChunkedDecoder(scratch);
measure("chunked body: 8 chunks of 100", chunkedLength, (start) => {
  decoder.reset(limits);
  let at = start;
  let answer = decoder.decode(memory, at, start + chunkedLength);
  while (answer === CHUNK_DATA) {
    at = decoder.next;
    answer = decoder.decode(memory, at, start + chunkedLength);
  }
  return defined(answer, "answer");
});
