/**
 * DNS messages, made record by record and then damaged. Two readers that share no code must agree: the one that looks for
 * the addresses of a name, and the one that gives scripts all there is. What scripts get can be written as it was read.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatIp, parseIp } from "#core/address.ts";
import { decodeDns, encodeDns, type DnsMessage, type DnsRecord } from "#pipeline/codecs/dns/message.ts";
import { DnsFramer, framed } from "#upstream/dns/framing.ts";
import { ADDRESSES_MAX, decodeAnswer, TYPE_A } from "#upstream/dns/message.ts";
import { expectAlikeHoweverCut, finds, mutatedBytes, runs } from "#test/support/fuzzing.ts";

const ID = 7;
const ASKED = "api.example";
const ALIASES_MAX = 16;

const name = fc.constantFrom(ASKED, "pool.example", "b.pool.example", "API.Example", "c", "", "kim\\.lee.example");
const u16 = fc.nat(0xffff);
const u32 = fc.nat(0xffff_ffff);
const text = fc.string({ unit: "grapheme", maxLength: 20 });
const data: fc.Arbitrary<Pick<DnsRecord, "type" | "data">> = fc.oneof(
  { weight: 4, arbitrary: fc.ipV4().map((ip) => ({ type: "A", data: ip })) },
  { weight: 3, arbitrary: name.map((alias) => ({ type: "CNAME", data: alias })) },
  // In the form in which addresses are written.
  fc.ipV6().map((ip) => ({ type: "AAAA", data: formatIp(parseIp(ip)) })),
  name.map((server) => ({ type: "NS", data: server })),
  fc.array(text, { minLength: 1, maxLength: 3 }).map((texts) => ({ type: "TXT", data: texts })),
  fc.record({ preference: u16, exchange: name }).map((mx) => ({ type: "MX", data: mx })),
  fc.record({ priority: u16, weight: u16, port: u16, target: name }).map((srv) => ({ type: "SRV", data: srv })),
  fc
    .record({ primary: name, mailbox: name, serial: u32, refresh: u32, retry: u32, expire: u32, minimum: u32 })
    .map((soa) => ({ type: "SOA", data: soa })),
  fc.uint8Array({ maxLength: 20 }).map((bytes) => ({ type: "TYPE4711", data: bytes })),
);
const record = fc
  .record({ name, class: fc.constantFrom(1, 1, 1, 3), ttl: fc.oneof(fc.nat(600), u32), data })
  .map(({ data: typed, ...one }) => ({ ...one, ...typed }));
const records = (maxLength: number): fc.Arbitrary<DnsRecord[]> => fc.array(record, { maxLength });
const answer = fc.record({
  id: fc.constantFrom(ID, ID, ID, 8),
  response: fc.constantFrom(true, true, true, false),
  truncated: fc.constantFrom(false, false, false, true),
  recursionAvailable: fc.boolean(),
  rcode: fc.constantFrom(0, 0, 0, 3),
  questions: fc.constantFrom<DnsMessage["questions"]>(
    [{ name: ASKED, type: "A", class: 1 }],
    [{ name: "API.example", type: "A", class: 1 }],
    [{ name: ASKED, type: "AAAA", class: 1 }],
    [],
  ),
  answers: records(5),
  authorities: records(1),
  additionals: records(1),
});
const whole = answer.map((message) => Buffer.from(encodeDns(message)));

const SEEDS = [
  "0007 8180 0001 0002 0000 0000 03617069 076578616d706c65 00 0001 0001" +
    "c00c 0005 0001 0000003c 0007 04706f6f6c c010  c029 0001 0001 0000001e 0004 c0000201",
  "0007 8180 0001 0001 0000 0000 03617069 076578616d706c65 00 0001 0001  c00c 0010 0001 00000001 0005 02c3a4 01ff",
  "0007 0100 0001 0000 0000 0001 03617069 076578616d706c65 00 0001 0001  00 0029 04d0 00000000 0000",
].map((hex) => Buffer.from(hex.replaceAll(" ", ""), "hex"));
const SPLICES = [
  "00",
  "01",
  "3f",
  "40",
  "c0",
  "c00c",
  "c010",
  "c0ff",
  "ff",
  "ffff",
  "0001",
  "00010001",
  "0000003c",
  "03617069",
].map((hex) => Buffer.from(hex, "hex"));
const damaged = fc.oneof(
  whole,
  whole.chain((bytes) => mutatedBytes([bytes], SPLICES, 3)),
  mutatedBytes(SEEDS, SPLICES, 4),
);

type ReadAnswer = (bytes: Uint8Array) => string;
type Decode = (bytes: Uint8Array) => DnsMessage | string;

function shown(rcode: number, addresses: readonly string[], ttlSeconds: number): string {
  return `${rcode} ${addresses.join()} ${ttlSeconds}`;
}

const readOurs: ReadAnswer = (bytes) => {
  const found = decodeAnswer(bytes, ID, ASKED, TYPE_A);
  if (typeof found === "string") return "refused";
  return shown(
    found.rcode,
    found.addresses.map((ip) => ip.join(".")),
    found.ttlSeconds,
  );
};

/** What an answer says by the other reader; null where that has no opinion: dots within labels, faults in other sections. */
function oracle(bytes: Uint8Array): string | null {
  const message = decodeDns(bytes);
  if (typeof message === "string") return null;
  const { answers = [], questions } = message;
  if ([...questions, ...answers].some((one) => one.name.includes("\\"))) return null;
  const aliases = answers.filter((one) => one.type === "CNAME" && one.class === 1);
  if (aliases.some((one) => String(one.data).includes("\\"))) return null;
  const [question] = questions;
  const isOurs = question?.name.toLowerCase() === ASKED && question.type === "A" && question.class === 1;
  if (message.id !== ID || !message.response || message.truncated === true) return "refused";
  if (questions.length !== 1 || !isOurs) return "refused";
  if (message.rcode !== 0) return shown(message.rcode ?? 0, [], 0);
  let at = ASKED;
  const ttls: number[] = [];
  for (let step = 0; step < ALIASES_MAX; step++) {
    const alias = aliases.find((one) => one.name.toLowerCase() === at);
    if (alias === undefined) break;
    ttls.push(alias.ttl);
    at = String(alias.data).toLowerCase();
  }
  const found = answers.filter((one) => one.type === "A" && one.class === 1 && one.name.toLowerCase() === at);
  const used = found.slice(0, ADDRESSES_MAX);
  const seconds = [...ttls, ...used.map((one) => one.ttl)].map((ttl) => (ttl > 0x7fff_ffff ? 0 : ttl));
  return shown(
    0,
    used.map((one) => String(one.data)),
    seconds.length === 0 ? 0 : Math.min(...seconds),
  );
}

function agrees(read: ReadAnswer, bytes: Uint8Array): void {
  const expected = oracle(bytes);
  if (expected !== null) expect(read(bytes)).toBe(expected);
}

/** A beginning is refused, unless all that was cut off is not looked at; and what is read can be written. */
function holds(decode: Decode, bytes: Buffer): void {
  const message = decode(bytes);
  for (let end = 0; end < bytes.length; end++) {
    const part = decode(bytes.subarray(0, end));
    if (typeof part !== "string") expect(part).toEqual(message);
  }
  if (typeof message !== "string") expect(decodeDns(encodeDns(message))).toEqual(message);
}

function comesBack(decode: Decode, message: DnsMessage): void {
  expect(decode(encodeDns(message))).toMatchObject(message);
}

describe("an answer", () => {
  it("has the addresses that another reader finds by itself", () => {
    fc.assert(
      fc.property(damaged, (bytes) => agrees(readOurs, bytes)),
      { numRuns: runs(8000) },
    );
  });

  it("that is cut off is refused, unless nothing of it is missing", () => {
    fc.assert(
      fc.property(damaged, (bytes) => {
        const all = readOurs(bytes);
        for (let end = 0; end < bytes.length; end++) {
          const part = readOurs(bytes.subarray(0, end));
          if (part !== "refused" && part !== all) throw new Error(`${end} bytes: ${part}, whole: ${all}`);
        }
      }),
      { numRuns: runs(800) },
    );
  });
});

describe("a message", () => {
  it("comes back as it was made", () => {
    fc.assert(
      fc.property(answer, (message) => comesBack(decodeDns, message)),
      { numRuns: runs(2000) },
    );
  });

  it("is refused or can be written as it was read, whatever has become of it", () => {
    fc.assert(
      fc.property(damaged, (bytes) => holds(decodeDns, bytes)),
      { numRuns: runs(600) },
    );
  });
});

/** Of a stream. */
function framesOf(pieces: readonly Uint8Array[]): string[] {
  const framer = new DnsFramer();
  const found: string[] = [];
  for (const piece of pieces) framer.push(piece, (message) => found.push(Buffer.from(message).toString("hex")) < 5);
  return found.slice(0, 5);
}

describe("a stream of messages", () => {
  const stream = fc
    .tuple(fc.array(fc.uint8Array({ maxLength: 12 }).map(framed), { maxLength: 5 }), fc.uint8Array({ maxLength: 8 }))
    .map(([messages, tail]) => Buffer.concat([...messages, tail]));

  it("has the same ones however it is cut", () => {
    fc.assert(
      fc.property(stream, (bytes) => expectAlikeHoweverCut(framesOf, bytes)),
      { numRuns: runs(1000) },
    );
  });

  it("canary: a reader that keeps nothing of a piece is found", () => {
    const forgetful = (pieces: readonly Uint8Array[]): string[] => pieces.flatMap((piece) => framesOf([piece]));
    expect(finds(stream, (bytes) => expectAlikeHoweverCut(forgetful, bytes))).toBe(true);
  });
});

describe("canaries: the harness catches a reader that", () => {
  it.each<[string, ReadAnswer]>([
    [
      "takes every address, whosoever it is",
      (bytes) => {
        const message = decodeDns(bytes);
        if (typeof message === "string" || readOurs(bytes) === "refused") return readOurs(bytes);
        const all = (message.answers ?? []).filter((one) => one.type === "A" && one.class === 1);
        return shown(
          message.rcode ?? 0,
          all.map((one) => String(one.data)),
          Math.min(0, ...all.map((one) => one.ttl)),
        );
      },
    ],
    ["does not look who answers", (bytes) => readOurs(Buffer.concat([Buffer.of(0, ID), bytes.subarray(2)]))],
  ])("%s", (_name, read) => {
    expect(finds(damaged, (bytes) => agrees(read, bytes))).toBe(true);
  });

  it.each<[string, Decode]>([
    ["reads zeros behind the end", (bytes) => decodeDns(Buffer.concat([bytes, Buffer.alloc(64)]))],
  ])("%s", (_name, decode) => {
    expect(finds(damaged, (bytes) => holds(decode, bytes))).toBe(true);
  });

  it("loses how a name is spelled", () => {
    const careless: Decode = (bytes) => decodeDns(Buffer.from(bytes.map((byte) => (byte === 0x41 ? 0x61 : byte))));
    expect(finds(answer, (message) => comesBack(careless, message))).toBe(true);
  });
});
