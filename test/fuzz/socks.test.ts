/**
 * SOCKS 4, 4a and 5, both sides: handshakes end as they should wherever they are cut, what follows them is kept whole, and
 * damaged ones end in the same way however they come, without holding more than a handshake has.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Socks4Client } from "#pipeline/codecs/socks/client4.ts";
import { SocksClient, type ConnectStep } from "#pipeline/codecs/socks/client.ts";
import { SocksServer, type SocksRequest } from "#pipeline/codecs/socks/server.ts";
import { writeDestination } from "#pipeline/codecs/socks/address.ts";
import { expectAlikeHoweverCut, finds, mutatedBytes, runs } from "#test/support/fuzzing.ts";

const WAYS = ["open", "password"] as const;
type Way = (typeof WAYS)[number];

/** The longest step there is: a request of version 4a, with a user and a name of 255 bytes and what ends them. */
const HELD_BYTES_MAX = 8 + 256 + 256;

const port = fc.integer({ min: 1, max: 0xffff });
const ascii = fc.string({ unit: fc.constantFrom(..."abcxyz019-."), minLength: 1, maxLength: 12 });
const long = fc.integer({ min: 200, max: 255 }).map((length) => "x".repeat(length));
const name = fc.oneof({ weight: 8, arbitrary: ascii.map((one) => `n${one}`) }, long);
const host = fc.oneof(name, fc.ipV4(), fc.constantFrom("2001:db8::1", "::"));
const tail = fc.uint8Array({ maxLength: 30 });

interface Handshake {
  readonly way: Way;
  readonly wire: Buffer;
  readonly request: SocksRequest | null;
  readonly rest: string;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

const five = fc
  .record({ way: fc.constantFrom(...WAYS), host, port, user: ascii, password: fc.oneof(ascii, long), rest: tail })
  .map(({ way, user, password, rest, ...to }): Handshake => {
    const login = [1, user.length, ...Buffer.from(user), password.length, ...Buffer.from(password)];
    const methods = way === "open" ? [5, 2, 2, 0] : [5, 2, 0, 2];
    const asked = [5, 1, 0, ...(writeDestination(to) ?? [])];
    const wire = Buffer.from([...methods, ...(way === "open" ? [] : login), ...asked, ...rest]);
    const request = { version: 5, ...to, user: way === "open" ? null : user } as const;
    return { way, wire, request, rest: hex(rest) };
  });
const four = fc
  .record({
    host: fc.oneof(
      name,
      fc.ipV4().filter((ip) => !ip.startsWith("0.0.0.")),
    ),
    port,
    user: fc.oneof(fc.constant(""), ascii, long),
    rest: tail,
  })
  .map(({ host: to, port: at, user, rest }): Handshake => {
    const isAddress = /^[\d.]+$/.test(to);
    const address = isAddress ? to.split(".").map(Number) : [0, 0, 0, 1];
    const texts = [...Buffer.from(user), 0, ...(isAddress ? [] : [...Buffer.from(to), 0])];
    const wire = Buffer.from([4, 1, at >> 8, at & 0xff, ...address, ...texts, ...rest]);
    const request = { version: 4, host: to, port: at, user: user === "" ? null : user } as const;
    return { way: "open", wire, request, rest: hex(rest) };
  });
const handshake = fc.oneof(five, four);

const SPLICES = [
  "00",
  "01",
  "02",
  "03",
  "04",
  "05",
  "5a",
  "ff",
  "0500",
  "0501",
  "050100",
  "0401",
  "00000001",
  "7f",
].map((one) => Buffer.from(one, "hex"));
const LONG = Buffer.alloc(300, "u");
const damaged = handshake.chain(({ way, wire }) =>
  mutatedBytes([wire], [...SPLICES, LONG], 3).map((bytes) => ({ way, wire: bytes })),
);

type Server = Pick<SocksServer, "push" | "rest">;
type MakeServer = (way: Way) => Server;
const ours: MakeServer = (way) => new SocksServer(way === "open" ? null : (user) => user !== "nobody");

interface Ended {
  readonly sent: string;
  readonly request: SocksRequest | null;
  readonly refused: string | null;
  /** What stands behind the request. */
  readonly rest: string;
}

function serving(server: Server, pieces: readonly Uint8Array[]): Ended {
  let sent = "";
  for (const [i, piece] of pieces.entries()) {
    const { send, request, refused } = server.push(piece);
    sent += send === null ? "" : hex(send);
    if (refused !== null) return { sent, request, refused, rest: "" };
    if (request !== null)
      return { sent, request, refused, rest: hex(Buffer.concat([server.rest, ...pieces.slice(i + 1)])) };
    if (server.rest.length >= HELD_BYTES_MAX) throw new Error(`${server.rest.length} bytes are held`);
  }
  return { sent, request: null, refused: null, rest: "" };
}

function ends(make: MakeServer, { way, wire, request, rest }: Handshake): void {
  expect(serving(make(way), [wire])).toMatchObject({ request, refused: null, rest });
}

describe("a SOCKS server", () => {
  it("learns what the client wants, and keeps what follows", () => {
    fc.assert(
      fc.property(handshake, (one) => ends(ours, one)),
      { numRuns: runs(2000) },
    );
  });

  it("says and decides the same wherever it is cut and whatever has become of it", () => {
    fc.assert(
      fc.property(fc.oneof(handshake, damaged), ({ way, wire }) =>
        expectAlikeHoweverCut((pieces) => serving(ours(way), pieces), wire),
      ),
      { numRuns: runs(200) },
    );
  });
});

type Client = Pick<SocksClient, "push" | "rest" | "start">;
const CLIENTS: Readonly<Record<string, () => Client>> = {
  open: () => new SocksClient({ host: "a.example", port: 80 }),
  password: () => new SocksClient({ host: "10.0.0.1", port: 80 }, { user: "kim", password: "pass" }),
  four: () => new Socks4Client({ host: "a.example", port: 80 }, "kim"),
};
const kind = fc.constantFrom(...Object.keys(CLIENTS));

function asking(client: Client, pieces: readonly Uint8Array[]): unknown {
  client.start();
  let sent = "";
  for (const [i, piece] of pieces.entries()) {
    const step: ConnectStep = client.push(piece);
    sent += step.send === null ? "" : hex(step.send);
    if (step.failed !== null) return { sent, failed: step.failed };
    if (step.done) return { sent, done: true, rest: hex(Buffer.concat([client.rest, ...pieces.slice(i + 1)])) };
    if (client.rest.length >= HELD_BYTES_MAX) throw new Error(`${client.rest.length} bytes are held`);
  }
  return { sent };
}

/** What the three kinds are answered. */
const ANSWERS = [
  "0500 050000010a00000100507461696c",
  "0502 0100 05000003026e6e0050",
  "005a 0050 0a000001 7461696c",
  "0500 0500000420010db8000000000000000000000001 0050",
].map((one) => Buffer.from(one.replaceAll(" ", ""), "hex"));
const answered = mutatedBytes(ANSWERS, SPLICES, 3);

describe("a SOCKS client", () => {
  it("says and decides the same wherever the answer is cut and whatever has become of it", () => {
    fc.assert(
      fc.property(kind, answered, (which, bytes) =>
        expectAlikeHoweverCut((pieces) => asking((CLIENTS[which] as () => Client)(), pieces), bytes),
      ),
      { numRuns: runs(2000) },
    );
  });
});

describe("canaries: the harness catches", () => {
  it("a server that judges by the piece", () => {
    const forgetful = (way: Way, pieces: readonly Uint8Array[]): unknown =>
      pieces.map((piece) => serving(ours(way), [piece]));
    expect(finds(handshake, ({ way, wire }) => expectAlikeHoweverCut((pieces) => forgetful(way, pieces), wire))).toBe(
      true,
    );
  });

  it("a server whose bound depends on the piece", () => {
    const bounded = (way: Way): Server => {
      const server = ours(way);
      return {
        get rest() {
          return server.rest;
        },
        push: (bytes) => {
          const step = server.push(bytes);
          const waits = step.request === null && step.refused === null;
          return waits && server.rest.length > 400 ? { ...step, refused: "too long" } : step;
        },
      };
    };
    expect(
      finds(handshake, ({ way, wire }) => expectAlikeHoweverCut((pieces) => serving(bounded(way), pieces), wire)),
    ).toBe(true);
  });

  it("a server that drops what follows", () => {
    const dropping: MakeServer = (way) => {
      const server = ours(way);
      return { rest: new Uint8Array(0), push: (bytes) => server.push(bytes) };
    };
    expect(finds(handshake, (one) => ends(dropping, one))).toBe(true);
  });
});
