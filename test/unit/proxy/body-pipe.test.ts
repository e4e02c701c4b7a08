/** Stages between a source and a drain: order, back-pressure, the end. */
import { describe, expect, it } from "vitest";
import type { Head } from "#http/head.ts";
import { DEFAULT_HEAD_LIMITS } from "#http/limits.ts";
import { ChunkedDecoder, CHUNK_END } from "#http/h1/chunked.ts";
import { internName, SET_COOKIE } from "#http/names.ts";
import { newTrailers } from "#http/trailers.ts";
import { Buffers, BUFFER_BYTES } from "#io/buffers.ts";
import { PassingStage, type BodyStage } from "#pipeline/body.ts";
import { HeadPool } from "#pipeline/http/head-pool.ts";
import { BodyPipe, type BodyEnds } from "#proxy/body-pipe.ts";
import { headScratch } from "#proxy/head-scratch.ts";

class Ends implements BodyEnds {
  drainFull = false;
  carries = true;
  lost = 0;
  out = "";
  trailers: [string, string][] | null = null;
  readonly calls: string[] = [];
  readonly #memory: Uint8Array;
  constructor(memory: Uint8Array) {
    this.#memory = memory;
  }
  drainData(_buffer: number, start: number, end: number): void {
    this.out += Buffer.from(this.#memory.subarray(start, end)).toString("latin1");
  }
  drainEnd(trailers: Head | null): void {
    this.out += "|";
    this.trailers = trailers?.entries() ?? null;
  }
  carriesTrailers(): boolean {
    return this.carries;
  }
  trailersLost(): void {
    this.lost++;
  }
  resumeSource(): void {
    this.calls.push("resume");
  }
  pauseSource(): void {
    this.calls.push("pause");
  }
  bodyFailed(status: number): void {
    this.calls.push(`failed ${status}`);
  }
}

/** Adds its letter to each chunk and to the end. */
class Letter extends PassingStage {
  readonly #letter: Uint8Array;
  disposed = 0;
  readonly told: string[];
  constructor(letter: string, told: string[] = []) {
    super();
    this.#letter = Buffer.from(letter);
    this.told = told;
  }
  override data(buffer: number, start: number, end: number): void {
    this.link.data(buffer, start, end);
    this.link.write(this.#letter);
  }
  override drained(): void {
    this.told.push(this.#letter.toString());
  }
  override dispose(): void {
    this.disposed++;
  }
  get out(): Letter["link"] {
    return this.link;
  }
}

/** Keeps everything until it is let go. */
class Holder extends PassingStage {
  override readonly holds = true;
  readonly kept: number[][] = [];
  override data(buffer: number, start: number, end: number): void {
    this.link.retain(buffer);
    this.kept.push([buffer, start, end]);
  }
  override drained(): void {
    for (const [buffer = 0, start = 0, end = 0] of this.kept.splice(0)) {
      this.link.data(buffer, start, end);
      this.link.release(buffer);
    }
  }
}

function pipeOf(...stages: BodyStage[]): { pipe: BodyPipe; ends: Ends; buffers: Buffers; send(text: string): void } {
  const buffers = new Buffers(new ArrayBuffer(8 * BUFFER_BYTES));
  const ends = new Ends(buffers.memory);
  const pipe = new BodyPipe(buffers, new HeadPool(headScratch(buffers), newTrailers), ends);
  for (const stage of stages) pipe.add(stage);
  const send = (text: string): void => {
    const buffer = buffers.allocate();
    buffers.memory.set(Buffer.from(text), buffer * BUFFER_BYTES);
    pipe.data(buffer, buffer * BUFFER_BYTES, buffer * BUFFER_BYTES + text.length);
    buffers.release(buffer);
  };
  return { pipe, ends, buffers, send };
}

describe("a body's stages", () => {
  it("are passed in order, to the end, and give every buffer back", () => {
    const { pipe, ends, buffers, send } = pipeOf(new Letter("a"), new Letter("b"));
    send("x");
    send("y");
    pipe.end(null);
    expect(ends.out).toBe("xbabybab|");
    expect(buffers.free).toBe(8);
  });

  it("copy bytes from elsewhere into as many buffers as they need", () => {
    const letter = new Letter("z".repeat(BUFFER_BYTES + 1));
    const { ends, buffers, send } = pipeOf(letter);
    send("x");
    expect([ends.out.length, buffers.free]).toEqual([BUFFER_BYTES + 2, 8]);
  });

  it("fail with 503 when there is no buffer for that", () => {
    const letter = new Letter("z");
    const { ends, buffers } = pipeOf(letter);
    for (let i = 0; i < 8; i++) buffers.allocate();
    letter.out.write(Buffer.from("x"));
    expect(ends.calls).toEqual(["failed 503"]);
  });

  it("a stage that pauses stops the source, and what lies before it hears when it goes on", () => {
    const told: string[] = [];
    const [first, second, third] = [new Letter("1", told), new Letter("2", told), new Letter("3", told)];
    const { pipe, ends } = pipeOf(first, second, third);
    second.out.pause();
    expect([pipe.full, first.out.full, second.out.full]).toEqual([true, true, false]);
    second.out.resume();
    expect([told, ends.calls, pipe.full]).toEqual([["1"], ["pause", "resume"], false]);
  });

  it("the drain tells from the last to the first, up to one that is full", () => {
    const told: string[] = [];
    const [first, second, third] = [new Letter("1", told), new Letter("2", told), new Letter("3", told)];
    const { pipe, ends } = pipeOf(first, second, third);
    second.out.pause();
    pipe.drained();
    expect([told, ends.calls]).toEqual([["3", "2"], ["pause"]]);
  });

  it("a stage that holds is given data while the drain is full, and passes it on when it is not", () => {
    const holder = new Holder();
    const { pipe, ends, buffers, send } = pipeOf(new Letter("a"), holder);
    ends.drainFull = true;
    expect(pipe.full).toBe(false);
    send("x");
    expect(ends.out).toBe("");
    ends.drainFull = false;
    pipe.drained();
    expect([ends.out, buffers.free]).toEqual(["xa", 8]);
  });

  it("after the end of the exchange nothing moves, and each stage is disposed once", () => {
    const letter = new Letter("a");
    const { pipe, ends, send } = pipeOf(letter);
    pipe.dispose();
    pipe.dispose();
    send("x");
    letter.out.write(Buffer.from("y"));
    letter.out.end();
    letter.out.fail(500, "late", "late");
    expect([ends.out, ends.calls, letter.disposed]).toEqual(["", [], 1]);
  });

  it("a second end is none", () => {
    const letter = new Letter("a");
    const { ends } = pipeOf(letter);
    letter.out.end();
    letter.out.end();
    letter.out.write(Buffer.from("late"));
    expect(ends.out).toBe("|");
  });
});

/** Ends when it is told to. */
class Late extends PassingStage {
  override end(): void {}
  get out(): Late["link"] {
    return this.link;
  }
}

const X_SUM = internName("x-sum");
const X_MORE = internName("x-more");

function put(trailers: Head | null, name: number, value: string): boolean {
  const bytes = Buffer.from(value);
  return trailers?.add(name, bytes, 0, bytes.length) ?? false;
}

describe("trailers", () => {
  /** A body's, as the codec has them: `gone` is what follows the call that they came with. */
  function received(buffers: Buffers, lines: string): { head: Head; gone(): void } {
    const decoder = new ChunkedDecoder(headScratch(buffers));
    decoder.reset(DEFAULT_HEAD_LIMITS);
    const buffer = buffers.allocate();
    const start = buffer * BUFFER_BYTES;
    const text = `0\r\n${lines}\r\n`;
    buffers.memory.set(Buffer.from(text), start);
    expect(decoder.decode(buffers.memory, start, start + text.length)).toBe(CHUNK_END);
    buffers.release(buffer);
    const { start: from, end } = decoder.trailers;
    return {
      head: decoder.trailers,
      gone: () => {
        decoder.trailers.reset();
        buffers.memory.fill(0x2a, from, end);
      },
    };
  }

  it("pass with the body, and are not copied where all end at once", () => {
    const { pipe, ends, buffers } = pipeOf(new Letter("a"));
    const { head, gone } = received(buffers, "x-sum: 1\r\n");
    const free = buffers.free;
    pipe.end(head);
    expect([ends.trailers, buffers.free]).toEqual([[["x-sum", "1"]], free]);
    gone();
    expect(buffers.free).toBe(8);
  });

  it("outlast the call for a stage that ends later, with what was changed before it and after it", () => {
    class Changes extends PassingStage {
      override end(): void {
        put(this.link.makeTrailers(), X_MORE, "early");
        this.link.trailers?.remove(X_SUM);
        this.link.end();
      }
    }
    const late = new Late();
    const { pipe, ends, buffers } = pipeOf(new Changes(), late);
    const { head, gone } = received(buffers, "X-Sum: 1\r\nX-Other: 2\r\n");
    pipe.end(head);
    gone();
    expect(late.out.trailers?.entries()).toEqual([
      ["x-other", "2"],
      ["x-more", "early"],
    ]);
    put(late.out.makeTrailers(), X_SUM, "late");
    late.out.end();
    expect(ends.trailers).toEqual([
      ["x-other", "2"],
      ["x-more", "early"],
      ["x-sum", "late"],
    ]);
    expect([late.out.trailers, late.out.makeTrailers(), buffers.free]).toEqual([null, null, 8]);
  });

  it("are made where there are none, only when somebody asks, and only where they can go", () => {
    const late = new Late();
    const { pipe, ends, buffers } = pipeOf(late);
    pipe.end(null);
    expect([late.out.trailers, buffers.free]).toEqual([null, 8]);
    expect(put(late.out.makeTrailers(), SET_COOKIE, "a=b"), "what belongs into a head").toBe(false);
    expect(put(late.out.makeTrailers(), X_SUM, "7")).toBe(true);
    late.out.end();
    expect([ends.trailers, buffers.free, ends.lost]).toEqual([[["x-sum", "7"]], 8, 0]);

    const other = new Late();
    const closed = pipeOf(other);
    closed.ends.carries = false;
    closed.pipe.end(null);
    expect([other.out.makeTrailers(), other.out.makeTrailers()]).toEqual([null, null]);
    other.out.end();
    expect([closed.ends.out, closed.ends.trailers, closed.ends.lost]).toEqual(["|", null, 1]);
  });

  it("that were made before others came stand before them", () => {
    const late = new Late();
    const { pipe, ends, buffers } = pipeOf(late);
    put(late.out.makeTrailers(), X_MORE, "made");
    const { head, gone } = received(buffers, "x-sum: 1\r\n");
    pipe.end(head);
    gone();
    late.out.end();
    expect(ends.trailers).toEqual([
      ["x-more", "made"],
      ["x-sum", "1"],
    ]);
    expect(buffers.free).toBe(8);
  });

  it("that there is no memory for are lost, and the body is whole all the same", () => {
    const late = new Late();
    const { pipe, ends, buffers } = pipeOf(late);
    const { head, gone } = received(buffers, "x-sum: 1\r\n");
    while (buffers.free > 0) buffers.allocate();
    pipe.end(head);
    gone();
    late.out.end();
    expect([ends.out, ends.trailers, ends.lost]).toEqual(["|", null, 1]);
  });

  it("are given back when the exchange ends before the body does", () => {
    const late = new Late();
    const { pipe, buffers } = pipeOf(late);
    put(late.out.makeTrailers(), X_SUM, "1");
    expect(buffers.free).toBe(7);
    pipe.dispose();
    expect([buffers.free, late.out.trailers, late.out.makeTrailers()]).toEqual([8, null, null]);
  });
});
