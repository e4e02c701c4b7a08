import net from "node:net";
import tls from "node:tls";
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import {
  ClientHello,
  HELLO_BYTES_MAX,
  HELLO_MALFORMED,
  HELLO_MORE,
  HELLO_NOT_TLS,
  HELLO_PLAIN_HTTP,
  HELLO_TOO_LONG,
} from "#net/tls/client-hello.ts";
import { extension, handshakeRecords, helloMessage, vector } from "#test/support/client-hello.ts";

function read(bytes: Uint8Array): { verdict: number; hello: ClientHello } {
  const hello = new ClientHello();
  return { verdict: hello.read(bytes, 0, bytes.length), hello };
}

describe("a whole ClientHello", () => {
  test.each([
    [
      "name, protocols, versions",
      { serverName: "Shop.Example", alpn: ["h2", "http/1.1"], versions: [0x0304, 0x0303] },
      "shop.example",
      ["h2", "http/1.1"],
      0x0304,
    ],
    ["TLS 1.2 without extensions", { extensions: false }, "", [], 0x0303],
    ["a trailing dot", { serverName: "a.example." }, "a.example", [], 0x0303],
    ["an address is no name that is looked up", { serverName: "a b" }, "", [], 0x0303],
    ["versions that do not exist (GREASE)", { versions: [0x8a8a, 0x0303] }, "", [], 0x0303],
    ["no version that exists", { versions: [0x8a8a] }, "", [], 0],
    [
      "unknown extensions",
      { extra: [extension(0x1234, Buffer.alloc(900))], alpn: ["http/1.1"] },
      "",
      ["http/1.1"],
      0x0303,
    ],
  ] as const)("%s", (_what, parts, serverName, alpn, version) => {
    const bytes = handshakeRecords(helloMessage(parts));
    const { verdict, hello } = read(bytes);
    expect(verdict).toBe(bytes.length);
    expect(hello).toMatchObject({ serverName, alpn, version });
  });

  test("read at an offset, with bytes behind it", () => {
    const bytes = handshakeRecords(helloMessage({ serverName: "a.example" }));
    const memory = Buffer.concat([Buffer.alloc(7, 22), bytes, Buffer.from("more")]);
    const hello = new ClientHello();
    expect(hello.read(memory, 7, memory.length)).toBe(bytes.length);
    expect(hello.serverName).toBe("a.example");
  });

  test("of Node's own client", async () => {
    const server = net.createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as net.AddressInfo;
    const client = tls.connect({ port, host: "127.0.0.1", servername: "www.example", ALPNProtocols: ["http/1.1"] });
    client.on("error", () => {});
    const [socket] = (await once(server, "connection")) as [net.Socket];
    const [bytes] = (await once(socket, "data")) as [Buffer];
    client.destroy();
    socket.destroy();
    server.close();
    const { verdict, hello } = read(bytes);
    expect(verdict).toBe(bytes.length);
    expect(hello).toMatchObject({ serverName: "www.example", alpn: ["http/1.1"], version: 0x0304 });
  });
});

describe("in pieces", () => {
  const message = helloMessage({ serverName: "a.example", alpn: ["h2"], versions: [0x0304] });

  test("every prefix asks for more, one reader for all", () => {
    const bytes = handshakeRecords(message);
    const hello = new ClientHello();
    for (let end = 0; end < bytes.length; end++) expect(hello.read(bytes, 0, end)).toBe(HELLO_MORE);
    expect(hello.read(bytes, 0, bytes.length)).toBe(bytes.length);
    expect(hello).toMatchObject({ serverName: "a.example", alpn: ["h2"], version: 0x0304 });
  });

  test("a record boundary at every byte, and every prefix of that", () => {
    for (let cut = 1; cut < message.length; cut++) {
      const bytes = handshakeRecords(message, cut);
      for (let end = 0; end < bytes.length; end += 7) expect(read(bytes.subarray(0, end)).verdict).toBe(HELLO_MORE);
      const { verdict, hello } = read(bytes);
      expect(verdict).toBe(bytes.length);
      expect(hello.serverName).toBe("a.example");
    }
  });

  test("sixteen records are taken, seventeen are not", () => {
    const cuts = Array.from({ length: 15 }, (_, i) => i + 1);
    expect(read(handshakeRecords(message, ...cuts)).verdict).toBeGreaterThan(0);
    expect(read(handshakeRecords(message, ...cuts, 16)).verdict).toBe(HELLO_TOO_LONG);
  });
});

describe("what is none", () => {
  const bad = (...extra: Uint8Array[]) => handshakeRecords(helloMessage({ extra }));
  test.each([
    ["an HTTP request", Buffer.from("GET / HTTP/1.1\r\n\r\n"), HELLO_PLAIN_HTTP],
    ["its first letters", Buffer.from("GET"), HELLO_MORE],
    ["a long method", Buffer.from("OPTIONS * HTTP/1.1\r\n"), HELLO_PLAIN_HTTP],
    ["SSH", Buffer.from("SSH-2.0-x\r\n"), HELLO_NOT_TLS],
    ["zeros", Buffer.alloc(40), HELLO_NOT_TLS],
    ["one zero", Buffer.alloc(1), HELLO_NOT_TLS],
    ["SSL 2.0", Buffer.from("802e0100020015000000100100", "hex"), HELLO_NOT_TLS],
    ["an alert", Buffer.of(21, 3, 1, 0, 2, 2, 40), HELLO_NOT_TLS],
    ["another major version", Buffer.of(22, 4, 1, 0, 2, 1, 0), HELLO_NOT_TLS],
    ["the same, two bytes of it", Buffer.of(22, 4), HELLO_NOT_TLS],
    ["another handshake message", Buffer.of(22, 3, 1, 0, 4, 2, 0, 0, 0), HELLO_MALFORMED],
    ["an empty record", Buffer.of(22, 3, 1, 0, 0), HELLO_MALFORMED],
    ["a record of another type in the middle", Buffer.of(22, 3, 1, 0, 1, 1, 23, 3, 3, 0, 1, 0), HELLO_MALFORMED],
    ["a record that is too long", Buffer.of(22, 3, 1, 0x40, 1), HELLO_TOO_LONG],
    ["a message that is too long", Buffer.of(22, 3, 1, 0x3f, 0, 1, 1, 0, 0), HELLO_TOO_LONG],
    ["a message that ends early", handshakeRecords(Buffer.of(1, 0, 0, 3, 3, 3, 0)), HELLO_MALFORMED],
    [
      "a name twice",
      bad(extension(0, vector(2, Buffer.of(0, 0, 1, 97))), extension(0, vector(2, Buffer.of(0, 0, 1, 97)))),
      HELLO_MALFORMED,
    ],
    ["two names in one list", bad(extension(0, vector(2, Buffer.of(0, 0, 1, 97, 0, 0, 1, 98)))), HELLO_MALFORMED],
    ["an empty name", bad(extension(0, vector(2, Buffer.of(0, 0, 0)))), HELLO_MALFORMED],
    ["a name list that lies", bad(extension(0, Buffer.of(0, 9, 0, 0, 1, 97))), HELLO_MALFORMED],
    ["an empty protocol", bad(extension(16, vector(2, Buffer.of(0, 0)))), HELLO_MALFORMED],
    ["a protocol beyond its list", bad(extension(16, vector(2, Buffer.of(5, 97)))), HELLO_MALFORMED],
    ["half a version", bad(extension(43, vector(1, Buffer.of(3, 4, 3)))), HELLO_MALFORMED],
    [
      "an extension beyond the end",
      handshakeRecords(helloMessage({ extra: [Buffer.of(0, 0, 0, 9)] })),
      HELLO_MALFORMED,
    ],
  ])("%s", (_what, bytes, verdict) => {
    expect(read(bytes).verdict).toBe(verdict);
  });

  test("the longest that is taken", () => {
    const spare = HELLO_BYTES_MAX - (helloMessage().length - 4) - 4;
    const whole = helloMessage({ extra: [extension(0x1234, Buffer.alloc(spare))] });
    expect(whole.length - 4).toBe(HELLO_BYTES_MAX);
    expect(read(handshakeRecords(whole, 9000)).verdict).toBeGreaterThan(0);
  });
});
