import type { Layout } from "#pipeline/layout/layout.ts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeProxyHeader } from "#net/proxy-protocol/encode.ts";
import { parseAddress } from "#core/address.ts";
import { Data } from "#pipeline/events/data.ts";
import { MALFORMED } from "#pipeline/events/ending.ts";
import { Message, MessageEnd, MessageStart } from "#pipeline/events/messages.ts";
import { Quota } from "#pipeline/library/quota.ts";
import { rig, rigRuntime, type Rig } from "#test/support/pipeline-rig.ts";

function feed(line: Rig<object>, content: string, size: number): void {
  for (let at = 0; at < content.length; at += size) line.data(content.slice(at, at + size));
}

function message(line: Rig<object>, head: object, body: string): void {
  line.start(head);
  if (body !== "") line.data(body);
  line.end();
}

describe("split", () => {
  it.each([1, 2, 3, 100])("a stream into messages, %d bytes at a time", (size) => {
    const line = rig(($) => $.split("\r\n"));
    feed(line, "one\r\ntwo\r\n\r\nfo\rur", size);
    line.close();
    const part = (text: string): string[] => ["<{}>", ...(text === "" ? [] : [text]), "</>"];
    expect(line.out.lines).toEqual([...part("one"), ...part("two"), ...part(""), ...part("fo\rur"), "END"]);
    line.check();
  });

  it("a body into messages with its head", () => {
    const line = rig(($) => $.split("--"));
    message(line, { n: 1 }, "a-b--c");
    message(line, { n: 2 }, "--");
    expect(line.out.lines).toEqual(['<{"n":1}>', "a-b", "</>", '<{"n":1}>', "c", "</>", '<{"n":2}>', "</>"]);
    line.check();
  });

  it("is as text.split is, however it is cut", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom("a", "b", "-"), { maxLength: 30 }),
        fc.integer({ min: 1, max: 7 }),
        fc.constantFrom("-", "--", "a-a", "ab"),
        (letters, size, separator) => {
          const text = letters.join("");
          const bodies: string[] = [];
          const line = rig(($) => $.split(separator).handleMessage<object>((part) => void bodies.push(part.text)));
          feed(line, text, size);
          line.close();
          line.check();
          const parts = text.split(separator);
          if (parts.at(-1) === "") parts.pop();
          expect(bodies).toEqual(parts);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("has a bound", () => {
    const line = rig(($) => $.split("\n", { bytesMax: 4 }));
    feed(line, "1234\n12345\n", 1);
    expect(line.out.lines).toEqual(["<{}>", "1234", "</>", "END too-large"]);
    line.check();
    expect(() => rig(($) => $.split(""))).toThrow("nothing");
  });
});

describe("deframe", () => {
  const frames = ($: Layout) =>
    $.deframe(function* () {
      for (;;) {
        const length = (yield 2).readUInt16BE(0);
        if (length === 0xffff) return;
        yield new MessageStart({ length });
        if (length > 0) yield new Data(yield length);
        yield new MessageEnd();
      }
    });

  it.each([1, 2, 3, 100])("reads what a generator asks for, %d bytes at a time", (size) => {
    const line = rig(frames);
    feed(line, "\x00\x03abc\x00\x00\x00\x02de\xff\xffthe rest", size);
    line.close();
    expect(line.out.lines).toEqual([
      '<{"length":3}>',
      "abc",
      "</>",
      '<{"length":0}>',
      "</>",
      '<{"length":2}>',
      "de",
      "</>",
      "the rest",
      "END",
    ]);
    line.check();
  });

  it("a frame that is cut is malformed", () => {
    const line = rig(frames);
    feed(line, "\x00\x03ab", 1);
    line.close();
    expect(line.out.lines).toEqual(['<{"length":3}>', "END malformed"]);
    line.check();
  });

  it("has a bound, and a generator that throws is a script that failed", () => {
    const long = rig(($) =>
      $.deframe(
        function* () {
          yield 17;
        },
        { bytesMax: 16 },
      ),
    );
    long.data("x");
    expect(long.out.text).toBe("END too-large");
    long.check();
    for (const bad of [-1, 1.5, Number.NaN]) {
      const line = rig(($) =>
        $.deframe(function* () {
          yield bad;
        }),
      );
      line.data("x");
      expect(line.out.text).toBe("END script");
      line.check();
    }
    const throwing = rig(($) =>
      $.deframe(function* () {
        yield 1;
        throw new Error("no such frame");
      }),
    );
    throwing.data("x");
    expect(String(throwing.runtime.reported[0])).toContain("no such frame");
    throwing.check();
  });

  it("a generator is ended with its stream", () => {
    let ended = false;
    const line = rig(($) =>
      $.deframe(function* () {
        try {
          yield 10;
        } finally {
          ended = true;
        }
      }),
    );
    line.data("x");
    line.check();
    expect(ended).toBe(true);
  });
});

describe("pack", () => {
  it("puts messages together, and what is left at the end", () => {
    const line = rig(($) => $.pack(2));
    for (const n of [1, 2, 3]) message(line, { n }, `${n}`.repeat(n));
    line.close();
    expect(line.out.lines).toEqual(['<{"n":1}>', "122", "</>", '<{"n":3}>', "333", "</>", "END"]);
    line.check();
  });

  it("waits no longer than it is told, and for a message under way", () => {
    const line = rig(($) => $.pack(100, { interval: "200ms" }));
    message(line, { n: 1 }, "a");
    line.pass(100);
    expect(line.out.lines).toEqual([]);
    line.pass(300);
    expect(line.out.lines).toEqual(['<{"n":1}>', "a", "</>"]);
    line.start({ n: 2 });
    line.pass(500);
    line.data("b");
    line.end();
    expect(line.out.lines.slice(3)).toEqual(['<{"n":2}>', "b", "</>"]);
    line.check();
  });

  it("has a bound", () => {
    const line = rig(($) => $.pack(3, { bytesMax: 3 }));
    message(line, {}, "ab");
    message(line, {}, "cd");
    expect(line.out.text).toBe("END too-large");
    line.check();
    expect(() => rig(($) => $.pack(0))).toThrow("pack of 0");
  });
});

describe("throttling", () => {
  it("by bytes delays what there is no quota for, and stops who feeds it", () => {
    const runtime = rigRuntime();
    const quota = new Quota(4, { per: "100ms", now: () => runtime.loop.nowMs });
    const line = rig(($) => $.throttleDataRate(quota), undefined, runtime);
    line.data("0123456789");
    expect(line.out.text).toBe("0123");
    line.data("ab");
    expect(line.source.isPaused).toBe(true);
    line.pass(150);
    expect(line.out.text).toBe("01234567");
    line.pass(400);
    line.close();
    expect(line.out.text).toBe("0123456789ab\nEND");
    expect(line.source.isPaused).toBe(false);
    line.check();
  });

  it("by messages delays heads, in order", () => {
    const runtime = rigRuntime();
    const quota = new Quota(1, { per: "100ms", now: () => runtime.loop.nowMs });
    const line = rig(($) => $.throttleMessageRate(() => quota), undefined, runtime);
    for (const n of [1, 2, 3]) message(line, { n }, `${n}`);
    expect(line.out.lines).toEqual(['<{"n":1}>', "1", "</>"]);
    line.pass(1000);
    expect(line.out.lines).toHaveLength(9);
    line.check();
  });

  it("or rejects", () => {
    const line = rig(($) => $.throttleMessageRate(new Quota(1), { reject: true }));
    message(line, { n: 1 }, "");
    message(line, { n: 2 }, "");
    expect(line.out.lines).toEqual(['<{"n":1}>', "</>", "END rejected"]);
    line.check();
  });

  it("by streams gives a place to who waits when another ends", () => {
    const runtime = rigRuntime();
    const quota = new Quota(1);
    const build = ($: Layout) => $.throttleConcurrency(quota);
    const first = rig(build, undefined, runtime);
    const second = rig(build, undefined, runtime);
    const third = rig(build, undefined, runtime);
    for (const [line, text] of [
      [first, "1"],
      [second, "2"],
      [third, "3"],
    ] as const)
      line.data(text);
    expect([first.out.text, second.out.text, third.out.text]).toEqual(["1", "", ""]);
    third.instance.dispose();
    first.instance.dispose();
    expect(second.out.text).toBe("2");
    second.check();
    expect(quota.current).toBe(1);
  });

  it("a stream without a quota is not throttled", () => {
    const line = rig(($) => $.throttleDataRate(() => undefined).throttleConcurrency(() => undefined));
    line.data("x".repeat(1000));
    expect(line.out.text).toHaveLength(1000);
    line.check();
  });
});

describe("wait", () => {
  it("for a condition, asked again and again", () => {
    let ready = false;
    const line = rig(($) => $.wait(() => ready));
    line.data("x");
    line.pass(100);
    expect(line.out.text).toBe("");
    ready = true;
    line.pass(200);
    expect(line.out.text).toBe("x");
    line.check();
  });

  it("for a promise", async () => {
    const line = rig(($) => $.wait(() => Promise.resolve()));
    line.data("x");
    expect(line.out.text).toBe("");
    await new Promise(setImmediate);
    expect(line.out.text).toBe("x");
    line.check();
  });

  it("not for ever", () => {
    const line = rig(($) => $.wait(() => false, { timeout: "100ms" }));
    line.data("x");
    line.pass(300);
    expect(line.out.text).toBe("END idle-timeout");
    line.check();
  });
});

it("insert puts events in front, also when they come late", async () => {
  const line = rig(($) => $.insert(() => new Data("first ")));
  line.data("second");
  expect(line.out.text).toBe("first second");
  line.check();
  const late = rig(($) => $.insert(async () => new Message({ n: 0 }, "zero")));
  message(late, { n: 1 }, "one");
  await new Promise(setImmediate);
  expect(late.out.lines).toEqual(['<{"n":0}>', "zero", "</>", '<{"n":1}>', "one", "</>"]);
  late.check();
});

it("repeat adds steps for each value", () => {
  const line = rig(($) => $.repeat(["a", "b"], ($, value, i) => $.replaceData((data) => `${data}${value}${i}`)));
  line.data("x");
  expect(line.out.text).toBe("xa0b1");
  line.check();
});

it("dump and print show what passes, and change nothing", () => {
  const line = rig(($) => $.dump(() => "tag").print());
  message(line, { n: 1 }, "ab\n\x1b[31m");
  line.close();
  expect(line.runtime.logged).toEqual([
    'tag MessageStart {"n":1}',
    "tag Data 8 bytes",
    "tag   0000  61 62 0a 1b 5b 33 31 6d                          ab..[31m",
    "ab",
    String.raw`\u001b[31m`,
    "tag MessageEnd",
    "tag StreamEnd",
  ]);
  expect(line.out.lines).toEqual(['<{"n":1}>', "ab\n\x1b[31m", "</>", "END"]);
  line.check();
});

describe("PROXY headers", () => {
  const [first, header] = (["v1", "v2"] as const).map((version) =>
    encodeProxyHeader(version, parseAddress("192.0.2.1:1234"), parseAddress("192.0.2.2:80")),
  ) as [Uint8Array, Uint8Array];

  it.each([
    [1, first, 1],
    [1000, first, 1],
    [1, header, 2],
    [1000, header, 2],
  ])("are taken off, %d bytes at a time", (size, wire, version) => {
    const line = rig<{ from?: string }>(($) =>
      $.acceptProxyProtocol(({ sourceAddress, sourcePort, destinationPort, version }, context) => {
        context.from = `${sourceAddress}:${sourcePort} ${destinationPort} v${version}`;
        return true;
      }).to(($) => $.replaceData((data, { from }) => `${from} ${data};`)),
    );
    feed(line, `${Buffer.from(wire).toString("latin1")}hi`, size);
    line.close();
    const seen = `192.0.2.1:1234 80 v${version}`;
    expect(line.out.text).toBe(`${size === 1 ? `${seen} h;${seen} i;` : `${seen} hi;`}\nEND`);
    line.check();
  });

  it("that are none, cut, or not wanted end the stream", () => {
    const outcomes = ["GET / HTTP/1.1\r\n\r\n", "PROXY TCP4 192.0", Buffer.from(header).toString("latin1")].map(
      (wire) => {
        const line = rig(($) => $.acceptProxyProtocol(() => false).to(($) => $));
        line.data(wire);
        line.close();
        line.check();
        return line.out.text;
      },
    );
    expect(outcomes).toEqual(["END malformed", "END malformed", "END"]);
  });

  it("are put in front, before anything comes", () => {
    const line = rig(($) =>
      $.connectProxyProtocol(() => ({
        sourceAddress: "192.0.2.1",
        sourcePort: 1234,
        destinationAddress: "192.0.2.2",
        destinationPort: 80,
      })).to(($) => $),
    );
    expect(line.out.text).toBe("PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n");
    line.data("hi");
    line.close(MALFORMED);
    expect(line.out.text).toBe("PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\nhi\nEND malformed");
    line.check();
    const second = rig(($) =>
      $.connectProxyProtocol(() => ({
        version: 2,
        sourceAddress: "192.0.2.1",
        sourcePort: 1234,
        destinationAddress: "192.0.2.2",
        destinationPort: 80,
      })).to(($) => $),
    );
    expect(second.out.text).toBe(Buffer.from(header).toString("latin1"));
    second.check();
    const unknown = rig(($) => $.connectProxyProtocol(() => ({})).to(($) => $));
    expect(unknown.out.text).toBe("PROXY UNKNOWN\r\n");
    unknown.check();
  });
});
