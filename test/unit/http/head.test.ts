import { describe, expect, it } from "vitest";
import { encodeRequestHead } from "#http/h1/encode.ts";
import { parseRequestHead } from "#http/h1/parse-request.ts";
import { parseResponseHead } from "#http/h1/parse-response.ts";
import { FRAMING_NONE, Head, METHOD_GET } from "#http/head.ts";
import { ADDED_FIELDS_MAX, DEFAULT_HEAD_LIMITS } from "#http/limits.ts";
import {
  ACCEPT,
  CONNECTION,
  CONTENT_LENGTH,
  COOKIE,
  EXPECT,
  HOST,
  internName,
  KEEP_ALIVE,
  PROXY_CONNECTION,
  TE,
  TRAILER,
  TRANSFER_ENCODING,
  UPGRADE,
  USER_AGENT,
} from "#http/names.ts";
import { ALL_REGIONS, OUT, TestMemory } from "#test/support/http-memory.ts";

const store = new TestMemory();
const head = new Head(store);
const X_A = internName("x-a");
const X_NEW = internName("x-new");

function parse(line: string, ...fields: string[]): void {
  const { start, end } = store.put([line, "Host: a.example:81", ...fields].join("\r\n") + "\r\n\r\n");
  expect(parseRequestHead(head, start, end, DEFAULT_HEAD_LIMITS)).toBe(end);
}

function set(name: number, value: string): boolean {
  const bytes = Buffer.from(value, "latin1");
  return head.set(name, bytes, 0, bytes.length);
}

function add(name: number, value: string): boolean {
  const bytes = Buffer.from(value, "latin1");
  return head.add(name, bytes, 0, bytes.length);
}

function setTarget(target: string): boolean {
  const bytes = Buffer.from(`..${target}..`, "latin1");
  return head.setTarget(bytes, 2, bytes.length - 2);
}

function value(name: number): string | undefined {
  const index = head.find(name);
  return index < 0 ? undefined : store.text(head.valueStart(index), head.valueEnd(index));
}

function encoded(): string {
  const options = { dropForwarded: false, appendStart: 0, appendEnd: 0, framing: FRAMING_NONE, upgrade: false };
  return store.text(OUT, encodeRequestHead(head, OUT, OUT + 65_536, options));
}

describe("find", () => {
  it("walks fields of one name, and passes over removed ones", () => {
    parse("GET / HTTP/1.1", "X-A: 1", "Accept: x", "x-a: 2");
    expect([head.find(X_A), head.find(X_A, 2), head.find(X_A, 4), head.find(X_NEW)]).toEqual([1, 3, -1, -1]);
    expect(head.remove(X_A)).toBe(2);
    expect(head.find(X_A)).toBe(-1);
    expect([0, 1, 2, 3].map((index) => head.isRemoved(index))).toEqual([false, true, false, true]);
    expect(head.remove(X_A)).toBe(0);
    expect(head.entries().map(([name]) => name)).toEqual(["host", "accept"]);
  });

  it("finds a name that was interned after the head was parsed, and only that", () => {
    parse("GET / HTTP/1.1", "X-Late-One: 1", "X-Late-Two: 2", "X-Late-One: 3", "te: 4");
    const late = internName("x-late-one");
    const absent = internName("x-late-xxx");
    expect([head.find(late), head.find(late, 2), head.find(absent), head.nameId(1)]).toEqual([1, 3, -1, 0]);
    expect(set(late, "new")).toBe(true);
    expect(head.get("x-late-one")).toBe("new");
    parse("GET / HTTP/1.1", "X-Late-One: 1");
    expect(head.nameId(1)).toBe(late);
  });
});

describe("get", () => {
  it("joins lines, cookies in their own way", () => {
    parse("GET / HTTP/1.1", "X-A: 1", "x-a:2", "Cookie: a=1", "cookie: b=2", "X-Unknown-Here: é");
    expect(head.get("X-A")).toBe("1, 2");
    expect(head.get("cookie")).toBe("a=1; b=2");
    expect(head.get("x-unknown-here")).toBe("é");
    expect(head.get("x")).toBeUndefined();
    expect(head.methodText()).toBe("GET");
    expect(head.find(COOKIE)).toBe(3);
  });
});

describe("set, add, remove", () => {
  it("sets in place of the first, removes the others, and is seen by everyone", () => {
    parse("GET / HTTP/1.1", "X-A: 1", "Accept: x", "X-A: 2");
    expect(set(X_A, " \tthree ")).toBe(true);
    expect(value(X_A)).toBe("three");
    expect(head.get("x-a")).toBe("three");
    expect(encoded()).toBe("GET / HTTP/1.1\r\nHost: a.example:81\r\nx-a: three\r\nAccept: x\r\n\r\n");
    expect(set(X_A, "four")).toBe(true);
    expect(head.get("x-a")).toBe("four");
  });

  it("appends what is not there, and adds beside what is", () => {
    parse("GET / HTTP/1.1", "X-A: 1");
    expect(set(X_NEW, "")).toBe(true);
    expect(add(X_A, "2")).toBe(true);
    expect(encoded()).toBe("GET / HTTP/1.1\r\nHost: a.example:81\r\nX-A: 1\r\nx-new: \r\nx-a: 2\r\n\r\n");
    expect(head.get("x-a")).toBe("1, 2");
    expect(head.remove(X_A)).toBe(2);
    expect(encoded()).toBe("GET / HTTP/1.1\r\nHost: a.example:81\r\nx-new: \r\n\r\n");
  });

  it("takes the value from its own memory too", () => {
    parse("GET / HTTP/1.1", "X-A: one", "Accept: x");
    const from = head.find(X_A);
    expect(head.set(ACCEPT, head.memory, head.valueStart(from), head.valueEnd(from))).toBe(true);
    expect(value(ACCEPT)).toBe("one");
  });

  it("sends a field that a filter sets, though Connection had named the received one", () => {
    parse("GET / HTTP/1.1", "X-A: 1", "Connection: x-a");
    expect(encoded()).not.toContain("X-A");
    expect(set(X_A, "2")).toBe(true);
    expect(encoded()).toContain("x-a: 2\r\n");
  });

  it.each(["a\rb", "a\nb", "a\r\nX: y", "a\0b", "\x01", "\x7f", "\r\n"])(
    "refuses the value %j and changes nothing",
    (bad) => {
      parse("GET / HTTP/1.1", "X-A: 1");
      const before = encoded();
      expect(set(X_A, bad)).toBe(false);
      expect(add(X_A, bad)).toBe(false);
      expect(set(HOST, bad)).toBe(false);
      expect(encoded()).toBe(before);
    },
  );

  it("leaves framing and what belongs to the connection alone", () => {
    parse("POST / HTTP/1.1", "Content-Length: 1", "Connection: keep-alive", "TE: trailers", "Keep-Alive: x");
    const names = [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, KEEP_ALIVE, TE, UPGRADE, PROXY_CONNECTION, EXPECT, 0];
    for (const name of names) {
      expect(set(name, "1")).toBe(false);
      expect(add(name, "1")).toBe(false);
      expect(head.remove(name)).toBe(0);
    }
    expect(head.entries().length).toBe(5);
  });

  it("is told by a Trailer field that trailers may follow, whatever the framing was", () => {
    parse("POST / HTTP/1.1", "Content-Length: 1", "Trailer: x");
    expect(head.announcesTrailers, "as received, it says nothing here").toBe(false);
    expect(set(TRAILER, "bad\r\n")).toBe(false);
    expect(head.announcesTrailers).toBe(false);
    expect([add(TRAILER, "x-sum"), head.announcesTrailers, head.contentLength]).toEqual([true, true, 1]);
    parse("POST / HTTP/1.1");
    expect([head.announcesTrailers, set(TRAILER, "x"), head.announcesTrailers]).toEqual([false, true, true]);
  });

  it("changes Host with its parsed parts, or not at all", () => {
    parse("GET / HTTP/1.1");
    expect(set(HOST, "B.example:82")).toBe(true);
    expect([head.hostText(), head.port]).toEqual(["b.example", 82]);
    expect(encoded()).toBe("GET / HTTP/1.1\r\nhost: B.example:82\r\n\r\n");
    for (const bad of ["", "a b", "u@b", "b:0"]) expect(set(HOST, bad)).toBe(false);
    expect([head.hostText(), head.port]).toEqual(["b.example", 82]);
    expect(add(HOST, "c")).toBe(false);
    expect(head.remove(HOST)).toBe(0);
    parse("GET http://c/ HTTP/1.1");
    expect(set(HOST, "d")).toBe(true);
    expect(encoded()).toBe("GET / HTTP/1.1\r\nhost: d\r\n\r\n");
  });

  it("refuses when the table is full: as many additions as there are rows for", () => {
    parse("GET / HTTP/1.1", ...Array.from({ length: DEFAULT_HEAD_LIMITS.fieldsMax - 1 }, () => "X: 1"));
    const limits = { ...DEFAULT_HEAD_LIMITS, fieldsMax: 256 };
    const { start, end } = store.put(
      ["GET / HTTP/1.1", "Host: a", ...Array.from({ length: 255 }, () => "X: 1")].join("\r\n") + "\r\n\r\n",
    );
    expect(parseRequestHead(head, start, end, limits)).toBe(end);
    for (let i = 0; i < ADDED_FIELDS_MAX; i++) expect(add(X_A, "1")).toBe(true);
    expect(add(X_A, "1")).toBe(false);
    expect(set(X_NEW, "1")).toBe(false);
    expect(set(X_A, "1")).toBe(true);
  });

  it("refuses when scratch is used up, or there is none", () => {
    parse("GET / HTTP/1.1");
    const line = "x-a: ".length + 2;
    expect(set(X_A, "v".repeat(store.regionBytes - line))).toBe(true);
    expect(set(X_A, "v")).toBe(false);
    expect(head.get("x-a")?.length).toBe(store.regionBytes - line);
    expect(setTarget("/x")).toBe(false);
    expect(set(HOST, "b")).toBe(false);
    expect(head.hostText()).toBe("a.example");
    expect(head.keep()).toBe(false);
    parse("GET / HTTP/1.1");
    expect(set(X_A, "v".repeat(store.regionBytes - line + 1))).toBe(false);

    const dry = new TestMemory();
    dry.exhaust();
    const dryHead = new Head(dry);
    const { start, end } = dry.put("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(parseRequestHead(dryHead, start, end, DEFAULT_HEAD_LIMITS)).toBe(end);
    expect(dryHead.set(USER_AGENT, Buffer.from("x"), 0, 1)).toBe(false);
    expect(dryHead.keep()).toBe(false);
  });
});

describe("setTarget", () => {
  it.each([
    ["/", "/", undefined],
    ["/a/../b?c", "/b", "c"],
    ["/%7Euser?", "/~user", ""],
    ["/.", "/", undefined],
    ["/a?b?/..", "/a", "b?/.."],
  ])("%s", (target, path, query) => {
    parse("GET /old?query HTTP/1.1", "X-A: 1");
    expect(setTarget(target)).toBe(true);
    expect(head.pathText()).toBe(path);
    expect(head.hasQuery).toBe(query !== undefined);
    expect(head.queryText()).toBe(query ?? "");
    expect(encoded().split("\r\n")[0]).toBe(`GET ${path}${query === undefined ? "" : `?${query}`} HTTP/1.1`);
    expect(head.targetText()).toBe("/old?query");
  });

  it.each(["", "x", "*", "http://b/", "/a b", "/a#b", "/..", "/%", "/a\\b", "/\x00", "/é", "/a?b c", "/a?b#c"])(
    "refuses %j and changes nothing",
    (target) => {
      parse("GET /old/../new?query HTTP/1.1");
      expect(setTarget(target)).toBe(false);
      expect([head.pathText(), head.queryText(), head.hasQuery]).toEqual(["/new", "query", true]);
      expect(encoded()).toContain("GET /new?query HTTP/1.1\r\n");
    },
  );

  it("has nothing to set in other forms", () => {
    parse("OPTIONS * HTTP/1.1");
    expect(setTarget("/")).toBe(false);
    parse("CONNECT a:1 HTTP/1.1");
    expect(setTarget("/")).toBe(false);
  });
});

describe("setStatus", () => {
  function respond(status: number): void {
    const { start, end } = store.put(`HTTP/1.1 ${String(status)} As It Came\r\nContent-Length: 0\r\n\r\n`);
    expect(parseResponseHead(head, start, end, DEFAULT_HEAD_LIMITS, METHOD_GET)).toBe(end);
  }

  it("changes status and phrase, but never whether there is content", () => {
    respond(200);
    expect(head.setStatus(503)).toBe(true);
    expect([head.status, head.reasonText()]).toEqual([503, ""]);
    for (const status of [100, 199, 204, 304, 600, 0, 200.5, Number.NaN]) expect(head.setStatus(status)).toBe(false);
    expect(head.status).toBe(503);
    for (const status of [204, 304]) {
      respond(status);
      expect(head.setStatus(200)).toBe(false);
    }
  });
});

describe("keep", () => {
  it("survives that the receive buffer is overwritten, whatever was edited before and after", () => {
    for (const line of [
      "GET /plain?q HTTP/1.1",
      "GET /a/../b?q HTTP/1.1",
      "GET http://B/x HTTP/1.1",
      "OPTIONS * HTTP/1.1",
    ]) {
      for (const edited of [false, true]) {
        parse(line, "X-A: 1", "Accept: x", "Connection: accept");
        if (edited) expect(set(X_A, "edited")).toBe(true);
        const snapshot = [
          head.entries(),
          head.pathText(),
          head.queryText(),
          head.hostText(),
          head.methodText(),
          encoded(),
        ];
        const length = head.end - head.start;
        expect(head.keep()).toBe(true);
        store.memory.fill(0x2a, 0, 1024);
        expect([
          head.entries(),
          head.pathText(),
          head.queryText(),
          head.hostText(),
          head.methodText(),
          encoded(),
        ]).toEqual(snapshot);
        expect(head.end - head.start).toBe(length);
        expect(head.keep()).toBe(true);
        expect(set(X_NEW, "after")).toBe(true);
        expect(head.get("x-new")).toBe("after");
      }
    }
    head.reset();
    expect(store.freeRegions).toBe(ALL_REGIONS);
  });

  it("tells a head that ends where its scratch begins from its edits", () => {
    const text = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const memory = new Uint8Array(text.length + 256);
    memory.set(Buffer.from(text), 0);
    const tight = new Head({ memory, regionBytes: 256, allocate: () => text.length, free: () => undefined });
    expect(parseRequestHead(tight, 0, text.length, DEFAULT_HEAD_LIMITS)).toBe(text.length);
    expect(tight.set(X_A, Buffer.from("v"), 0, 1)).toBe(true);
    expect(tight.keep()).toBe(true);
    memory.fill(0, 0, text.length);
    expect(tight.entries()).toEqual([
      ["host", "a"],
      ["x-a", "v"],
    ]);
  });

  it("keeps a response", () => {
    const { start, end } = store.put("HTTP/1.1 200 Fine\r\nX-A: 1\r\n\r\n");
    expect(parseResponseHead(head, start, end, DEFAULT_HEAD_LIMITS, METHOD_GET)).toBe(end);
    expect(head.keep()).toBe(true);
    store.memory.fill(0, start, end);
    expect([head.reasonText(), head.get("x-a")]).toEqual(["Fine", "1"]);
  });
});

it("has one shape from the constructor on: no message adds a property or reorders them", () => {
  const keys = Object.keys(new Head(store));
  parse("GET /a/../b HTTP/1.1", "Content-Length: 9007199254740991", "Connection: close");
  expect(set(X_A, "1") && head.keep()).toBe(true);
  expect(Object.keys(head)).toEqual(keys);
  head.reset();
  expect(Object.keys(head)).toEqual(keys);
});
