/** Scripts run unchecked: what one answers wrongly is the failure of its own stream, named in the log, and of nothing else. */
import { expect, test } from "vitest";
import { Message } from "#pipeline/events/messages.ts";
import { Quota } from "#pipeline/library/quota.ts";
import { pipeline, type Layout } from "#pipeline/layout/layout.ts";
import { rig } from "#test/support/pipeline-rig.ts";

/** What no type allows. */
function wrong<T>(value: unknown): T {
  return value as T;
}

/** An object that has no JSON. */
const circular: Record<string, unknown> = {};
circular["itself"] = circular;

test.each<[string, ($: Layout) => Layout, RegExp]>([
  ["a target that is no text", ($) => $.connect(wrong(() => 8080)), /number 8080/],
  ["a promise of one", ($) => $.connect(wrong(async () => 8080)), /number 8080/],
  [
    "a target of datagrams",
    ($) =>
      $.connect(
        wrong(() => ({})),
        { protocol: "udp" },
      ),
    /object/,
  ],
  ["a pipe to no pipeline", ($) => $.pipe(wrong(() => "elsewhere")), /pipe to string/],
  ["a promise of one", ($) => $.pipe(wrong(async () => "elsewhere")), /pipe to string/],
  ["a key without a value", ($) => $.muxHTTP(() => circular).to(($) => $), /circular/],
  ["a quota that is none", ($) => $.throttleMessageRate(wrong(() => 10)), /quota is number/],
  ["a tunnel without an answer", ($) => $.acceptHTTPTunnel(wrong(() => undefined)).to(($) => $), /acceptHTTPTunnel/],
  ["an insertion", ($) => $.insert(wrong(async () => 7)), /number 7/],
])("%s", async (_name, build, words) => {
  const one = rig(($) => $.demuxHTTP().to(build));
  one.data("GET / HTTP/1.1\r\nhost: h\r\n\r\n");
  await new Promise((resolve) => setImmediate(resolve));
  expect(one.out.text).toMatch(/^HTTP\/1.1 500 /);
  expect(one.runtime.reported.map(String)).toEqual([expect.stringMatching(words)]);
  one.check();
});

test("whether a response has a body", () => {
  const one = rig<{ asked?: string[] }>(($) =>
    $.decodeHTTPResponse(({ asked }) => wrong<string[]>(asked)[0] === "HEAD"),
  );
  one.data("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
  expect(one.out.text).toBe("END script");
  expect(one.runtime.reported).toHaveLength(1);
  one.check();
});

test("a span of time is refused with the layout, before there is a stream", () => {
  const span = wrong<"5s">("5 s");
  expect(() => pipeline(($) => $.wait(() => true, { timeout: span }))).toThrow("timeout");
  expect(() => pipeline(($) => $.pack(2, { interval: span }))).toThrow("interval");
  expect(() => pipeline(($) => $.demux({ timeout: span }).to(($) => $))).toThrow("timeout");
});

test("what finds its quota used up is answered 429, and what comes when it is back is not", () => {
  const quota = new Quota(1);
  const server = pipeline(($) =>
    $.demuxHTTP().to(($) => $.throttleMessageRate(quota, { reject: true }).replaceMessage(() => new Message("ok"))),
  );
  const one = rig(server);
  const GET = "GET / HTTP/1.1\r\nhost: h\r\n\r\n";
  one.data(GET);
  one.data(GET);
  quota.produce(1);
  one.data(GET);
  expect(one.out.text.match(/(?<=HTTP\/1\.1 )\d+/g)).toEqual(["200", "429", "200"]);
  one.check();
});
