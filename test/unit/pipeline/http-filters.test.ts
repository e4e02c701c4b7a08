/** Filters that speak HTTP within one stream: codecs, tunnels, and those that tell what a client speaks. */
import { expect, test } from "vitest";
import { Message } from "#pipeline/events/messages.ts";
import { protocolOf } from "#pipeline/filters/detect.ts";
import type { HttpHead } from "#pipeline/http/http-head.ts";
import { helloMessage, handshakeRecords } from "#test/support/client-hello.ts";
import { rig, RIG_DATE } from "#test/support/pipeline-rig.ts";

const GET = "GET /a HTTP/1.1\r\nhost: a\r\n\r\n";

test("serveHTTP: a text, a function, and its bound", () => {
  const one = rig(($) => $.serveHTTP(new Message("hi")));
  one.data(GET);
  expect(one.out.text).toBe(`HTTP/1.1 200 OK\r\n${RIG_DATE}content-length: 2\r\n\r\nhi`);
  one.check();
  const two = rig(($) => $.serveHTTP((msg) => new Message({ status: 201 }, msg.text), { bytesMax: 3 }));
  two.data("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n1234");
  expect(two.out.text).toMatch(/^HTTP\/1.1 413 /);
  two.check();
  const bare = rig(($) => $.serveHTTP(() => "text"));
  bare.data(GET);
  expect(bare.out.text).toBe(`HTTP/1.1 200 OK\r\n${RIG_DATE}content-length: 4\r\n\r\ntext`);
  bare.check();
  const dated = rig(($) => $.serveHTTP(() => new Message({ headers: { Date: "then" } }, "x")));
  dated.data(GET);
  expect(dated.out.text).toBe("HTTP/1.1 200 OK\r\nDate: then\r\ncontent-length: 1\r\n\r\nx");
  dated.check();
});

test.each([
  ["none", () => {}],
  ["none in the end", async () => null],
])("serveHTTP: a request whose answer is %s gets 500", async (_name, answer) => {
  const one = rig(($) => $.serveHTTP(answer));
  one.data(GET);
  await new Promise((resolve) => setImmediate(resolve));
  expect(one.out.text).toMatch(/^HTTP\/1.1 500 /);
  expect(one.runtime.reported.map(String)).toEqual([expect.stringContaining("serveHTTP: nothing")]);
  one.check();
});

test("a request's context begins as its connection's is, and is its own", () => {
  const one = rig<{ n?: number }>(($) =>
    $.onStart((context) => void (context.n = 7))
      .demuxHTTP()
      .to(($) => $.replaceMessage((_, context) => new Message(String(context.n!++)))),
  );
  one.data(GET + GET);
  expect(one.out.text.match(/(?<=\r\n\r\n)\d/g)).toEqual(["7", "7"]);
  one.check();
});

test("decode and encode are each other's inverse; what is malformed ends the stream", () => {
  const requests = `${GET}POST /b HTTP/1.1\r\nhost: b\r\ncontent-length: 2\r\n\r\nxy`;
  const one = rig(($) => $.decodeHTTPRequest().encodeHTTPRequest());
  for (const byte of requests) one.data(byte);
  expect(one.out.text).toBe(requests);
  one.data("nonsense\r\n\r\n");
  expect(one.out.text.endsWith("END malformed")).toBe(true);
  one.check();

  const responses = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nxyHTTP/1.1 200 OK\r\nx: 1\r\n\r\nto the end";
  const two = rig(($) => $.decodeHTTPResponse());
  two.data(responses);
  two.close();
  expect(two.out.text).toBe("<200>\nxy\n</>\n<200>\nto the end\n</>\nEND");
  two.check();

  const cut = rig(($) => $.decodeHTTPResponse());
  cut.data("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nxy");
  cut.close();
  expect(cut.out.text).toBe("<200>\nxy\nEND bad-response");
  cut.check();
});

test("a tunnel: both ends", () => {
  const asked: string[] = [];
  const one = rig(($) =>
    $.connectHTTPTunnel({ path: "db.internal:5432", headers: { host: "db.internal:5432" } }).to(($) =>
      $.demuxHTTP().to(($) =>
        $.acceptHTTPTunnel((msg) => {
          asked.push(`${msg.head.method} ${msg.head.get("host")}`);
          return new Message({ status: 200 });
        }).to(($) => $.replaceData((data) => data.toString().toUpperCase())),
      ),
    ),
  );
  one.data("hello ");
  one.data("tunnel");
  one.close();
  expect(asked).toEqual(["CONNECT db.internal:5432"]);
  expect(one.out.text).toBe("HELLO TUNNEL\nEND");
  one.check();
});

test("a tunnel that is refused", () => {
  const one = rig(($) =>
    $.connectHTTPTunnel({ path: "db:1", headers: { host: "db:1" } }).to(($) =>
      $.demuxHTTP().to(($) => $.acceptHTTPTunnel(() => new Message({ status: 403 }, "no")).to(($) => $)),
    ),
  );
  one.data("x");
  expect(one.out.text).toBe("END connect-failed");
  one.check();
});

test.each([
  ["GET / HTTP/1.1\r\n", "HTTP"],
  ["PRI * HTTP/2.0\r\n\r\nSM", "HTTP2"],
  ["\x16\x03\x01\x00\x05", "TLS"],
  ["\x05\x01\x00", "SOCKS"],
  ["SSH-2.0-x\r\n", ""],
  ["GE", undefined],
  ["PRI * HTT", undefined],
])("%j is %j", (bytes, protocol) => {
  expect(protocolOf(Buffer.from(bytes, "latin1"))).toBe(protocol);
});

test("what is looked at first passes as it was, in whatever pieces", async () => {
  const seen: string[] = [];
  const one = rig(($) => $.detectProtocol(async (protocol) => void seen.push(protocol)));
  for (const byte of GET) one.data(byte);
  one.close();
  await new Promise((resolve) => setImmediate(resolve));
  expect([one.out.text, seen]).toEqual([`${GET}\nEND`, ["HTTP"]]);
  one.check();

  const hello = handshakeRecords(helloMessage({ serverName: "a.example" }));
  const two = rig(($) => $.handleTLSClientHello((found) => void seen.push(found.serverName)));
  two.data(hello.subarray(0, 30));
  two.data(hello.subarray(30));
  expect(seen).toEqual(["HTTP", "a.example"]);
  expect(Buffer.from(two.out.text, "latin1")).toEqual(Buffer.from(hello));
  two.check();
});

test("heads: read, changed, copied, and of no use once their message is over", () => {
  let kept: HttpHead | null = null;
  const one = rig(($) =>
    $.demuxHTTP().to(($) =>
      $.handleMessageStart(({ head }) => {
        kept = head;
        expect([head.method, head.path, head.host, head.headers["X-A"]]).toEqual(["GET", "/a?b=1", "h", "1, 2"]);
        expect([head.getAll("x-a"), Object.keys(head.headers)]).toEqual([
          ["1", "2"],
          ["host", "x-a"],
        ]);
        head.method = "DELETE";
        head.path = "/other";
        head.headers["x-b"] = "3";
        delete head.headers["x-a"];
        expect(() => (head.headers["content-length"] = "7")).toThrow(/can't be that/);
        expect(() => (head.headers["x-c"] = "a\r\nb: c")).toThrow(/can't be that/);
      })
        .muxHTTP(() => 1)
        .to(($) =>
          $.decodeHTTPRequest()
            .replaceMessage((msg) => new Message({ status: 200 }, JSON.stringify(msg.head.toObject())))
            .encodeHTTPResponse(),
        ),
    ),
  );
  one.data("GET /a?b=1 HTTP/1.1\r\nhost: h\r\nx-a: 1\r\nx-a: 2\r\n\r\n");
  expect(one.out.text).toContain('{"method":"DELETE","path":"/other","headers":{"host":["h"],"x-b":["3"]}}');
  expect(() => (kept as unknown as HttpHead).path).toThrow(/is over/);
  one.check();
});
