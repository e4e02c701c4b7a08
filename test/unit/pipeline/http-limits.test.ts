/** What `demuxHTTP` and `muxHTTP` bound: sizes, times, sessions and what waits for them. Both sides of each limit. */
import { describe, expect, it } from "vitest";
import { Message } from "#pipeline/events/messages.ts";
import type { MuxLimits } from "#pipeline/http/mux-pool.ts";
import { pipeline } from "#pipeline/layout/layout.ts";
import type { Pipeline } from "#pipeline/layout/pipeline.ts";
import { rig, rigRuntime, type Rig } from "#test/support/pipeline-rig.ts";

const statuses = ({ out }: Rig<object>): string[] => out.text.match(/(?<=HTTP\/1\.1 )\d+/g) ?? [];

describe("demuxHTTP", () => {
  const limits = {
    headBytesMax: 200,
    targetBytesMax: 20,
    fieldsMax: 3,
    headTimeoutMs: 100,
    bodyTimeoutMs: 200,
    idleTimeoutMs: 400,
  };
  const server = (): Rig<object> => rig(($) => $.serveHTTP(() => new Message("ok"), limits));
  /** Of so many bytes. */
  const head = (bytes: number): string => `GET / HTTP/1.1\r\nhost: h\r\nx: ${"y".repeat(bytes - 32)}\r\n\r\n`;

  it.each([
    ["a head as long as is allowed", head(200), "200"],
    ["one byte more", head(201), "431"],
    ["a target as long as is allowed", `GET /${"x".repeat(19)} HTTP/1.1\r\nhost: h\r\n\r\n`, "200"],
    ["a longer one", `GET /${"x".repeat(20)} HTTP/1.1\r\nhost: h\r\n\r\n`, "414"],
    ["as many fields", "GET / HTTP/1.1\r\nhost: h\r\na: 1\r\nb: 2\r\n\r\n", "200"],
    ["one more", "GET / HTTP/1.1\r\nhost: h\r\na: 1\r\nb: 2\r\nc: 3\r\n\r\n", "431"],
  ])("%s", (_name, text, status) => {
    for (const pieces of [[text], [...text]]) {
      const one = server();
      for (const piece of pieces) one.data(piece);
      expect(statuses(one)).toEqual([status]);
      one.check();
    }
  });

  it("a head, a body and a next request have their time each", () => {
    const late = server();
    late.data("GET / HT");
    late.pass(limits.headTimeoutMs - 1);
    expect(late.out.text).toBe("");
    late.pass(2);
    expect(late.out.text).toMatch(/^HTTP\/1.1 408 [^]*head-timeout[^]*END finished$/);
    late.check();

    const slow = server();
    slow.data("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\na");
    slow.pass(limits.bodyTimeoutMs - 1);
    slow.data("b");
    slow.pass(limits.bodyTimeoutMs - 1);
    expect(slow.out.text).toBe("");
    slow.pass(2);
    expect(slow.out.text).toMatch(/^HTTP\/1.1 408 [^]*body-timeout[^]*END finished$/);
    slow.check();

    const idle = server();
    idle.data("GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    idle.pass(limits.idleTimeoutMs - 1);
    expect(idle.out.text).not.toContain("END");
    idle.pass(2);
    expect(idle.out.text).toMatch(/^HTTP\/1.1 200 [^]*END finished$/);
    idle.check();
  });
});

describe("muxHTTP", () => {
  const ASK = "GET / HTTP/1.1\r\nhost: h\r\n\r\n";

  /** Clients of one mux, how many sessions it has, and what lets its target answer. */
  class Muxed {
    readonly runtime = rigRuntime();
    opened = 0;
    closed = 0;
    readonly #layout: Pipeline;
    readonly #waiting: (() => void)[] = [];

    constructor(options: Partial<MuxLimits>) {
      this.#layout = pipeline(($) =>
        $.demuxHTTP().to(($) =>
          $.muxHTTP(() => "k", options).to(($) =>
            $.onStart(() => void this.opened++)
              .onEnd(() => void this.closed++)
              .serveHTTP(() => this.#answer()),
          ),
        ),
      );
    }

    #answer(): Promise<Message> {
      const ok = new Message("ok");
      return new Promise((resolve) => this.#waiting.push(() => resolve(ok)));
    }

    client(): Rig<object> {
      return rig(this.#layout, undefined, this.runtime);
    }

    /** The target answers who has waited longest. */
    async answer(): Promise<void> {
      this.#waiting.shift()?.();
      for (let i = 0; i < 5; i++) await Promise.resolve();
    }
  }

  it("messagesMax: a session serves so many, and is closed", async () => {
    const muxed = new Muxed({ messagesMax: 2 });
    const one = muxed.client();
    for (let i = 0; i < 5; i++) {
      one.data(ASK);
      await muxed.answer();
      // One that became idle in this turn is not taken.
      one.pass(1);
    }
    expect([statuses(one).length, muxed.opened, muxed.closed]).toEqual([5, 3, 2]);
    one.check();
  });

  it("idleTimeoutMs and idleMax: what nobody uses is not kept", async () => {
    const muxed = new Muxed({ idleTimeoutMs: 100, idleMax: 1 });
    const [one, two] = [muxed.client(), muxed.client()];
    one.data(ASK);
    two.data(ASK);
    await muxed.answer();
    await muxed.answer();
    expect([muxed.opened, muxed.closed]).toEqual([2, 1]);
    one.pass(99);
    expect(muxed.closed).toBe(1);
    one.pass(2);
    expect(muxed.closed).toBe(2);
    one.instance.dispose();
    two.instance.dispose();
  });

  it("sessionsMax and queueMax: who comes beyond waits, and beyond that is refused", async () => {
    const muxed = new Muxed({ sessionsMax: 1, queueMax: 1 });
    const [one, two, three] = [muxed.client(), muxed.client(), muxed.client()];
    for (const each of [one, two, three]) each.data(ASK);
    expect([statuses(one), statuses(two), statuses(three)]).toEqual([[], [], ["503"]]);
    await muxed.answer();
    expect([statuses(one), statuses(two), muxed.opened]).toEqual([["200"], [], 1]);
    await muxed.answer();
    expect([statuses(two), muxed.opened]).toEqual([["200"], 1]);
    for (const each of [one, two, three]) each.instance.dispose();
  });

  it("responseTimeoutMs: a target that says nothing is given up, and its session with it", () => {
    const muxed = new Muxed({ responseTimeoutMs: 100 });
    const one = muxed.client();
    one.data(ASK);
    one.pass(99);
    expect(one.out.text).toBe("");
    one.pass(2);
    expect(statuses(one)).toEqual(["504"]);
    expect([muxed.opened, muxed.closed]).toEqual([1, 1]);
    one.instance.dispose();
  });

  it("speaks HTTP/1.1, and says so", () => {
    const asked = { version: 2 } as unknown as { version: 1 };
    expect(() => pipeline(($) => $.muxHTTP(() => 1, asked).to(($) => $))).toThrow(/HTTP\/2/);
  });
});
