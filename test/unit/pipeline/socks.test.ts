import { describe, expect, it } from "vitest";
import { Socks4Client } from "#pipeline/codecs/socks/client4.ts";
import { SocksClient } from "#pipeline/codecs/socks/client.ts";
import { SocksServer, type Authenticate, type SocksRequest } from "#pipeline/codecs/socks/server.ts";

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex"));
const hex = (some: Uint8Array | null): string => (some === null ? "" : Buffer.from(some).toString("hex"));
const text = (characters: string): string => Buffer.from(characters).toString("hex");

interface Outcome {
  readonly sent: string;
  readonly request: SocksRequest | null;
  readonly refused: string | null;
  readonly rest: string;
  readonly accepted: string;
}

/** A server that is given the bytes in pieces of a size. */
function serve(wire: Uint8Array, size: number, authenticate: Authenticate = null): Outcome {
  const server = new SocksServer(authenticate);
  let sent = "";
  let request: SocksRequest | null = null;
  let refused: string | null = null;
  for (let at = 0; at < wire.length && refused === null; at += size) {
    const step = server.push(wire.subarray(at, at + size));
    sent += hex(step.send);
    request ??= step.request;
    refused = step.refused;
  }
  return { sent, request, refused, rest: hex(server.rest), accepted: hex(server.accept()) };
}

const OPEN_REQUEST = `05 01 00  05 01 00 03 0b ${text("example.com")} 01bb`;

describe.each([1, 2, 3, 1000])("a server, %d bytes at a time", (size) => {
  it.each<[name: string, wire: string, request: SocksRequest, sent: string, accepted: string]>([
    [
      "5, a name",
      OPEN_REQUEST,
      { version: 5, host: "example.com", port: 443, user: null },
      "0500",
      "05000001000000000000",
    ],
    [
      "5, IPv4",
      "05 02 00 02  05 01 00 01 c0000201 0050",
      { version: 5, host: "192.0.2.1", port: 80, user: null },
      "0500",
      "05000001000000000000",
    ],
    [
      "5, IPv6",
      "05 01 00  05 01 00 04 20010db8000000000000000000000001 0050",
      { version: 5, host: "2001:db8::1", port: 80, user: null },
      "0500",
      "05000001000000000000",
    ],
    [
      "4",
      `04 01 0050 c0000201 ${text("kim")} 00`,
      { version: 4, host: "192.0.2.1", port: 80, user: "kim" },
      "",
      "005a0050c0000201",
    ],
    [
      "4a",
      `04 01 01bb 00000001 00 ${text("example.com")} 00`,
      { version: 4, host: "example.com", port: 443, user: null },
      "",
      "005a01bb00000001",
    ],
  ])("%s", (_name, wire, request, sent, accepted) => {
    const outcome = serve(bytes(`${wire} ${text("first")}`), size);
    expect(outcome).toEqual({ sent, request, refused: null, rest: text("first"), accepted });
  });

  it("asks for a name and a password", () => {
    const authenticate: Authenticate = (user, password) => user === "kim" && password === "pw";
    const good = `05 02 00 02  01 03 ${text("kim")} 02 ${text("pw")} 05 01 00 01 c0000201 0050`;
    expect(serve(bytes(good), size, authenticate)).toMatchObject({ sent: "05020100", request: { user: "kim" } });
    const bad = `05 02 00 02  01 03 ${text("kim")} 02 ${text("no")}`;
    expect(serve(bytes(bad), size, authenticate)).toMatchObject({
      sent: "05020101",
      request: null,
      refused: "wrong user or password",
    });
    expect(serve(bytes(OPEN_REQUEST), size, authenticate)).toMatchObject({ sent: "05ff", request: null });
    expect(serve(bytes("04 01 0050 c0000201 00"), size, authenticate).refused).toContain("no passwords");
  });

  it.each([
    ["another protocol", text("GET / HTTP/1.1\r\n\r\n"), "version 71", ""],
    ["BIND", "05 01 00  05 02 00 01 c0000201 0050", "command 2", "050005070001000000000000"],
    ["an address that is none", "05 01 00  05 01 00 09 c0000201 0050", "type 9", "050005080001000000000000"],
    ["an empty name", "05 01 00  05 01 00 03 00 0050", "empty name", "050005080001000000000000"],
    ["a name with a line break", "05 01 00  05 01 00 03 03 610a62 0050", "characters", "050005080001000000000000"],
    ["BIND of 4", "04 02 0050 c0000201 00", "command 2", "005b0050c0000201"],
    ["a user name without end", `04 01 0050 c0000201 ${"61".repeat(600)}`, "a user name of over 255 bytes", ""],
  ])("refuses %s", (_name, wire, reason, sent) => {
    const outcome = serve(bytes(wire), size);
    expect(outcome.refused).toContain(reason);
    expect(outcome.request).toBeNull();
    expect(outcome.sent).toBe(sent);
  });
});

describe.each([1, 1000])("client and server, %d bytes at a time", (size) => {
  it.each([
    ["example.com", 443, null],
    ["192.0.2.1", 80, null],
    ["2001:db8::1", 80, { user: "kim", password: "pw" }],
  ] as const)("%s", (host, port, credentials) => {
    const server = new SocksServer(
      credentials === null ? null : (user, password) => user === "kim" && password === "pw",
    );
    const client = new SocksClient({ host, port }, credentials);
    let toServer = client.start().send;
    let request: SocksRequest | null = null;
    let done = false;
    for (let round = 0; round < 10 && toServer !== null; round++) {
      const answers: Uint8Array[] = [];
      for (let at = 0; at < toServer.length; at += size) {
        const step = server.push(toServer.subarray(at, at + size));
        expect(step.refused).toBeNull();
        if (step.send !== null) answers.push(step.send);
        if (step.request !== null) {
          request = step.request;
          answers.push(server.accept(), Buffer.from("hello"));
        }
      }
      toServer = null;
      const answer = Buffer.concat(answers);
      for (let at = 0; at < answer.length; at += size) {
        const step = client.push(answer.subarray(at, at + size));
        expect(step.failed).toBeNull();
        done ||= step.done;
        if (step.send !== null) toServer = step.send;
      }
    }
    expect(request).toEqual({ version: 5, host, port, user: credentials === null ? null : "kim" });
    expect(done).toBe(true);
    expect(Buffer.from(client.rest).toString()).toBe("hello");
  });
});

describe("a client", () => {
  it.each([
    ["0400", "does not speak"],
    ["05ff", "another way"],
    ["0502", "another way"],
    ["0500 05 05 00 01 00000000 0000", "connection refused"],
    ["0500 05 63 00 01 00000000 0000", "reply 99"],
    ["0500 05 00 00 07 00000000 0000", "type 7"],
  ])("is told: %s", (wire, reason) => {
    const client = new SocksClient({ host: "a.test", port: 1 });
    client.start();
    expect(client.push(bytes(wire)).failed).toContain(reason);
  });

  it("says so where it can't ask", () => {
    expect(new SocksClient({ host: "", port: 1 }).start().failed).toContain("can't name");
    expect(new SocksClient({ host: "a b", port: 1 }).start().failed).toContain("can't name");
    expect(new SocksClient({ host: "x".repeat(256), port: 1 }).start().failed).toContain("can't name");
    expect(new SocksClient({ host: "a", port: 1 }, { user: "x".repeat(256), password: "" }).start().failed).toContain(
      "255",
    );
  });
});

describe("a client of version 4", () => {
  it.each([
    ["198.51.100.7", 80, "kim", "04 01 0050 c6336407 6b696d 00"],
    ["198.51.100.7", 443, "", "04 01 01bb c6336407 00"],
    ["example.com", 443, "", `04 01 01bb 00000001 00 ${text("example.com")} 00`],
  ])("asks for %s:%i as %j, and is understood by a server", (host, port, user, wire) => {
    const asked = new Socks4Client({ host, port }, user).start().send ?? new Uint8Array(0);
    expect(hex(asked)).toBe(hex(bytes(wire)));
    for (const size of [1, 3, 100]) {
      const { request, accepted } = serve(asked, size);
      expect(request).toMatchObject({ version: 4, host, port });
      const client = new Socks4Client({ host, port }, user);
      const answer = Buffer.concat([bytes(accepted), Buffer.from("hello")]);
      let done = 0;
      for (let at = 0; at < answer.length; at += size) {
        const step = client.push(answer.subarray(at, at + size));
        expect(step.failed).toBeNull();
        if (step.done) done++;
      }
      expect([done, Buffer.from(client.rest).toString()]).toEqual([1, "hello"]);
    }
  });

  it.each([
    ["0500", "does not speak SOCKS 4"],
    ["00 5b 0000 00000000", "refused"],
    ["00 5d 0000 00000000", "another user"],
    ["00 63 0000 00000000", "reply 99"],
  ])("is told: %s", (wire, reason) => {
    expect(new Socks4Client({ host: "a.test", port: 1 }).push(bytes(wire)).failed).toContain(reason);
  });

  it.each([
    ["2001:db8::1", ""],
    ["", ""],
    ["a b", ""],
    ["x".repeat(256), ""],
    ["a", "k m"],
  ])("says so where it can't ask: %s %s", (host, user) => {
    expect(new Socks4Client({ host, port: 1 }, user).start().failed).toContain("can't name");
  });
});
