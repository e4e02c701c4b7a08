/**
 * ClientHello messages, made part by part and then damaged: always a verdict, which more bytes do not change, from the bytes
 * that were given and no others.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  ClientHello,
  HELLO_MALFORMED,
  HELLO_MORE,
  HELLO_NOT_TLS,
  HELLO_PLAIN_HTTP,
  HELLO_TOO_LONG,
} from "#net/tls/client-hello.ts";
import { extension, handshakeRecords, helloMessage, vector } from "#test/support/client-hello.ts";
import { finds, mutatedBytes, runs } from "#test/support/fuzzing.ts";

const REFUSALS = [HELLO_NOT_TLS, HELLO_PLAIN_HTTP, HELLO_MALFORMED, HELLO_TOO_LONG];
const PADDING = 9;

type Read = (hello: ClientHello, memory: Uint8Array, start: number, end: number) => number;
const ours: Read = (hello, memory, start, end) => hello.read(memory, start, end);

const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,9}[a-z0-9])?$/);
const parts = fc.record({
  serverName: fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join(".")),
  alpn: fc.array(fc.constantFrom("h2", "http/1.1", "acme-tls/1", "x"), { minLength: 1, maxLength: 4 }),
  versions: fc.array(fc.constantFrom(0x0304, 0x0303, 0x0301, 0x7a7a), { minLength: 1, maxLength: 4 }),
  extra: fc.array(
    fc
      .tuple(fc.integer({ min: 100, max: 0xffff }), fc.uint8Array({ maxLength: 30 }))
      .map(([type, body]) => extension(type, body)),
    { maxLength: 3 },
  ),
});
/** Where the message is cut into records, in ten-thousandths. */
const records = fc.uniqueArray(fc.integer({ min: 1, max: 9998 }), { maxLength: 5 });

function inRecords(message: Buffer, cuts: readonly number[]): Buffer {
  const places = new Set(cuts.map((cut) => 1 + Math.floor((cut * (message.length - 2)) / 10_000)));
  return handshakeRecords(message, ...[...places].toSorted((a, b) => a - b));
}

/** In two records, the second of which goes on behind the message for as long as a record may. */
function withMuchBehind(message: Buffer): Buffer {
  const [first, rest] = [message.subarray(0, 100), message.subarray(100)];
  const second = Buffer.concat([rest, Buffer.alloc(0x4000 - rest.length, 1)]);
  return Buffer.concat([handshakeRecords(first), handshakeRecords(second)]);
}

const SEEDS = [
  withMuchBehind(helloMessage({ serverName: "much.example" })),
  handshakeRecords(helloMessage({ serverName: "shop.example", alpn: ["h2", "http/1.1"], versions: [0x0304] })),
  handshakeRecords(
    helloMessage({ serverName: "a.example", versions: [0x8a8a, 0x0303], extra: [extension(9, Buffer.alloc(40, 7))] }),
    60,
  ),
  handshakeRecords(helloMessage({ extensions: false }), 1, 2, 3, 4, 5),
  handshakeRecords(helloMessage({ alpn: ["h2"] })),
  Buffer.from("GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
];
const SPLICES = [
  ...[0, 1, 2, 3, 4, 16, 22, 43, 127, 128, 255].map((byte) => Buffer.of(byte)),
  Buffer.of(0x40, 0),
  Buffer.of(0xff, 0xff),
  Buffer.of(22, 3, 1),
  Buffer.of(22, 3, 3, 0, 1, 0),
  extension(0, vector(2, Buffer.concat([Buffer.of(0), vector(2, Buffer.from("b.example"))]))),
  extension(16, vector(2, vector(1, Buffer.from("h2")))),
  extension(43, vector(1, Buffer.of(3, 4))),
  Buffer.alloc(16_400, 3),
];
const damaged = mutatedBytes(SEEDS, SPLICES, 4);

/** The verdict of each beginning is "more", or the one of the whole. A length may grow with the record it ends in. */
function holds(read: Read, bytes: Buffer): void {
  const memory = Buffer.concat([Buffer.alloc(PADDING, 22), bytes, Buffer.alloc(PADDING, 3)]);
  const otherwise = Buffer.concat([Buffer.alloc(PADDING, 22), bytes, Buffer.alloc(PADDING, 0xff)]);
  const one = new ClientHello();
  const other = new ClientHello();
  let settled: number | null = null;
  let said = "";
  // Every byte of what is short; of what is long, those around its records' beginnings and some in between.
  const step = bytes.length > 2000 ? 97 : 1;
  for (
    let length = 0;
    length <= bytes.length;
    length = length < bytes.length ? Math.min(length + step, bytes.length) : length + 1
  ) {
    const verdict = read(one, memory, PADDING, PADDING + length);
    if (verdict !== read(other, otherwise, PADDING, PADDING + length)) throw new Error("bytes behind the end count");
    if (verdict > length || (verdict < 0 && !REFUSALS.includes(verdict))) throw new Error(`verdict ${verdict}`);
    const fields = verdict > 0 ? `${one.serverName} ${one.alpn.join()} ${one.version}` : "";
    if (settled === null) {
      if (verdict === HELLO_MORE) continue;
      [settled, said] = [verdict, fields];
    }
    const same = settled > 0 ? verdict >= settled : verdict === settled;
    if (!same || fields !== said) throw new Error(`${length} bytes: ${verdict} ${fields}, before ${settled} ${said}`);
  }
}

describe("a ClientHello", () => {
  it("is read as it was made, in whatever records, once it is whole", () => {
    fc.assert(
      fc.property(parts, records, (made, cuts) => {
        const bytes = inRecords(helloMessage(made), cuts);
        const hello = new ClientHello();
        for (let end = 0; end < bytes.length; end++) {
          if (hello.read(bytes, 0, end) !== HELLO_MORE) throw new Error(`a verdict on ${end} of ${bytes.length} bytes`);
        }
        expect(hello.read(bytes, 0, bytes.length)).toBe(bytes.length);
        const version = Math.max(0, ...made.versions.filter((one) => one <= 0x0304));
        expect(hello).toMatchObject({ serverName: made.serverName, alpn: made.alpn, version });
      }),
      { numRuns: runs(400) },
    );
  });

  it("that is damaged has one verdict, however it comes", () => {
    fc.assert(
      fc.property(damaged, (bytes) => holds(ours, bytes)),
      { numRuns: runs(1500) },
    );
  });
});

describe("canaries: the harness catches a reader that", () => {
  it.each<[string, Read]>([
    ["looks behind the end", (hello, memory, start) => hello.read(memory, start, memory.length)],
    [
      "takes a beginning for the whole",
      (hello, memory, start, end) => {
        const verdict = hello.read(memory, start, end);
        return verdict === HELLO_MORE && end - start > 60 ? end - start : verdict;
      },
    ],
    [
      "forgets what it has refused",
      (hello, memory, start, end) => {
        const verdict = hello.read(memory, start, end);
        return verdict === HELLO_MALFORMED && end - start > 80 ? HELLO_MORE : verdict;
      },
    ],
  ])("%s", (_name, read) => {
    expect(finds(damaged, (bytes) => holds(read, bytes))).toBe(true);
  });
});
