import { describe, expect, it } from "vitest";
import { decodeDns, encodeDns, type DnsMessage, type DnsRecord } from "#pipeline/codecs/dns/message.ts";

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex"));

/** A query for the A record of www.example.com, and its answer by way of an alias, as on the wire. */
const QUERY = bytes("1234 0100 0001 0000 0000 0000 03777777 076578616d706c65 03636f6d 00 0001 0001");
const ANSWER = bytes(
  "1234 8180 0001 0002 0000 0000 03777777 076578616d706c65 03636f6d 00 0001 0001" +
    "c00c 0005 0001 0000003c 0006 036c6231 c010  c02d 0001 0001 0000001e 0004 c0000201",
);

describe("messages", () => {
  it("are read", () => {
    expect(decodeDns(QUERY)).toMatchObject({
      id: 0x1234,
      response: false,
      recursionDesired: true,
      questions: [{ name: "www.example.com", type: "A", class: 1 }],
      answers: [],
    });
    expect(decodeDns(ANSWER)).toMatchObject({
      response: true,
      recursionAvailable: true,
      rcode: 0,
      answers: [
        { name: "www.example.com", type: "CNAME", ttl: 60, data: "lb1.example.com" },
        { name: "lb1.example.com", type: "A", ttl: 30, data: "192.0.2.1" },
      ],
    });
  });

  it("are written as they were read", () => {
    for (const wire of [QUERY, ANSWER]) {
      const message = decodeDns(wire) as DnsMessage;
      expect(Buffer.from(encodeDns(message)).toString("hex")).toBe(Buffer.from(wire).toString("hex"));
    }
  });

  it("cut off anywhere are refused", () => {
    for (let length = 0; length < ANSWER.length; length++) {
      expect(typeof decodeDns(ANSWER.subarray(0, length)), `${length} bytes`).toBe("string");
    }
  });

  it("of every type come back", () => {
    const answers: DnsRecord[] = [
      { name: "a.test", type: "A", class: 1, ttl: 1, data: "10.0.0.1" },
      { name: "a.test", type: "AAAA", class: 1, ttl: 2, data: "2001:db8::1" },
      { name: "", type: "NS", class: 1, ttl: 3, data: "a.root.test" },
      { name: "a.test", type: "MX", class: 1, ttl: 4, data: { preference: 10, exchange: "mx.a.test" } },
      { name: "a.test", type: "TXT", class: 1, ttl: 5, data: ["v=1", "größe"] },
      {
        name: "_s._tcp.a.test",
        type: "SRV",
        class: 1,
        ttl: 6,
        data: { priority: 1, weight: 2, port: 443, target: "b.test" },
      },
      {
        name: "a.test",
        type: "SOA",
        class: 1,
        ttl: 7,
        data: {
          primary: "ns.a.test",
          mailbox: "kim\\.lee.a.test",
          serial: 4_000_000_000,
          refresh: 1,
          retry: 2,
          expire: 3,
          minimum: 4,
        },
      },
      { name: "a.test", type: "TYPE4711", class: 1, ttl: 8, data: bytes("010203") },
      { name: "", type: "OPT", class: 1232, ttl: 0, data: bytes("") },
    ];
    const message = { id: 7, response: true, questions: [{ name: "a.test", type: "ANY", class: 1 }], answers };
    expect(decodeDns(encodeDns(message))).toMatchObject(message);
  });

  it("that can't be are not written", () => {
    const record = (type: string, data: DnsRecord["data"], name = "a"): DnsMessage => ({
      id: 1,
      response: true,
      questions: [],
      answers: [{ name, type, ttl: 1, data }],
    });
    expect(() => encodeDns(record("A", "2001:db8::1"))).toThrow("a A: 2001:db8::1 is no IPv4");
    expect(() => encodeDns(record("A", "ten"))).toThrow("ten");
    expect(() => encodeDns(record("MX", ["x"]))).toThrow("type MX");
    expect(() => encodeDns(record("NO", "x"))).toThrow('"NO"');
    expect(() => encodeDns(record("TXT", "x".repeat(256)))).toThrow("255");
    expect(() => encodeDns(record("A", "10.0.0.1", "a..b"))).toThrow("no name");
    expect(() => encodeDns(record("A", "10.0.0.1", `${"x".repeat(64)}.b`))).toThrow("no name");
    expect(() => encodeDns(record("A", "10.0.0.1", "x.".repeat(130)))).toThrow("longer than");
  });
});

describe("text", () => {
  const answer = (data: string): DnsMessage | string =>
    decodeDns(bytes(`0000 8000 0000 0001 0000 0000 00 0010 0001 00000001 ${data}`));

  it("that is none is given, and passed on, as bytes", () => {
    const message = answer("0005 02c3a4 01ff") as DnsMessage;
    expect(message.answers?.[0]?.data).toEqual(bytes("02c3a4 01ff"));
    expect(decodeDns(encodeDns(message))).toEqual(message);
  });

  it("keeps a byte order mark", () => {
    expect((answer("0004 03efbbbf") as DnsMessage).answers?.[0]?.data).toEqual(["\ufeff"]);
  });
});

it("names keep their spelling where a shorter way to write them would not", () => {
  const message = {
    id: 1,
    response: true,
    questions: [{ name: "wWw.eXample", type: "A", class: 1 }],
    answers: [{ name: "www.example", type: "A", class: 1, ttl: 1, data: "10.0.0.1" }],
  };
  expect(decodeDns(encodeDns(message))).toMatchObject(message);
});

describe("pointers", () => {
  it.each([
    ["to itself", "c00c"],
    ["forward", "c010 0000"],
    ["beyond the end", "ffff"],
    ["a label type that is none", "8000"],
  ])("%s are refused", (_name, name) => {
    expect(decodeDns(bytes(`0000 0100 0001 0000 0000 0000 ${name} 0001 0001`))).toBe("question 0 is malformed");
  });
});
