/** Exchanges through demux and mux, cut at every byte on both sides: always the same bytes come out. */
import { expect, test } from "vitest";
import { Message } from "#pipeline/events/messages.ts";
import { PipeFilter } from "#pipeline/filters/pipe-filter.ts";
import type { Layout } from "#pipeline/layout/layout.ts";
import type { Scope } from "#pipeline/layout/scope.ts";
import { rig, rigRuntime } from "#test/support/pipeline-rig.ts";

/** Cuts all bytes that pass, once, behind the byte `at`. */
class CutAt extends PipeFilter<object> {
  #left: number;

  constructor(scope: Scope, at: number) {
    super(scope);
    this.#left = at;
  }

  override data(buffer: number, start: number, end: number): void {
    const cut = start + this.#left;
    this.#left -= end - start;
    if (cut <= start || cut >= end) {
      this.output.data(buffer, start, end);
      return;
    }
    this.output.data(buffer, start, cut);
    this.output.data(buffer, cut, end);
  }
}

const REQUESTS = [
  "GET /a?b=1 HTTP/1.1\r\nhost: a\r\nx-one: 1\r\n\r\n",
  "POST /b HTTP/1.1\r\nhost: b\r\ncontent-length: 5\r\n\r\nhello",
  "PUT /c HTTP/1.1\r\nhost: c\r\ntransfer-encoding: chunked\r\n\r\n4;x=y\r\nwiki\r\n5\r\npedia\r\n0\r\nx-t: 1\r\n\r\n",
  "HEAD /d HTTP/1.1\r\nhost: d\r\n\r\n",
  "GET /e HTTP/1.0\r\nhost: e\r\nconnection: keep-alive\r\n\r\n",
  "DELETE http://f/f HTTP/1.1\r\nhost: f\r\ncontent-length: 0\r\n\r\n",
].join("");

function answer(msg: Message): Message {
  const { method = "", path = "" } = msg.head as { method?: string; path?: string };
  if (path === "/a?b=1") return new Message({ status: 204 });
  return new Message({ status: 200, headers: { "x-path": path } }, `${method} ${path}: ${msg.text}`);
}

/** `at`: where the upstream's answers are cut. */
const through =
  (at: number) =>
  ($: Layout): Layout =>
    $.demuxHTTP().to(($) => $.muxHTTP(() => "up").to(($) => $.serveHTTP(answer).use((scope) => new CutAt(scope, at))));

const runtime = rigRuntime();

function run(pieces: readonly string[], at = -1): string {
  const one = rig(through(at), undefined, runtime);
  for (const piece of pieces) one.data(piece);
  one.close();
  one.check();
  return one.out.text;
}

const WHOLE = run([REQUESTS]);

test("whole", () => {
  expect(WHOLE.match(/HTTP\/1.1 \d+/g)).toEqual(["HTTP/1.1 204", ...Array.from({ length: 5 }, () => "HTTP/1.1 200")]);
  expect(WHOLE).toContain("PUT /c: wikipedia");
  expect(WHOLE).not.toContain("HEAD /d: ");
  expect(WHOLE).toMatch(/GET \/e: [^]*DELETE \/f: [^]*END finished$/);
});

test("requests cut at every byte", () => {
  for (let at = 1; at < REQUESTS.length; at++) {
    expect(run([REQUESTS.slice(0, at), REQUESTS.slice(at)]), `cut at ${at}`).toBe(WHOLE);
  }
});

test("requests in pieces of every length", () => {
  for (let length = 1; length < 40; length++) {
    const pieces = REQUESTS.match(new RegExp(`[^]{1,${length}}`, "g")) ?? [];
    expect(run(pieces), `pieces of ${length}`).toBe(WHOLE);
  }
});

test("answers cut at every byte", () => {
  for (let at = 1; at < 700; at++) expect(run([REQUESTS], at), `cut at ${at}`).toBe(WHOLE);
});
