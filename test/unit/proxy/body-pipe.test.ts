/** Stages between a source and a drain: order, back-pressure, the end. */
import { describe, expect, it } from "vitest";
import type { Head } from "#http/head.ts";
import { Buffers, BUFFER_BYTES } from "#io/buffers.ts";
import { PassingStage, type BodyStage } from "#pipeline/body.ts";
import { BodyPipe, type BodyEnds } from "#proxy/body-pipe.ts";

class Ends implements BodyEnds {
  drainFull = false;
  out = "";
  readonly calls: string[] = [];
  readonly #memory: Uint8Array;
  constructor(memory: Uint8Array) {
    this.#memory = memory;
  }
  drainData(_buffer: number, start: number, end: number): void {
    this.out += Buffer.from(this.#memory.subarray(start, end)).toString("latin1");
  }
  drainEnd(_trailers: Head | null): void {
    this.out += "|";
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
  const pipe = new BodyPipe(buffers, ends);
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
    letter.out.end(null);
    letter.out.fail(500, "late", "late");
    expect([ends.out, ends.calls, letter.disposed]).toEqual(["", [], 1]);
  });

  it("a second end is none", () => {
    const letter = new Letter("a");
    const { ends } = pipeOf(letter);
    letter.out.end(null);
    letter.out.end(null);
    letter.out.write(Buffer.from("late"));
    expect(ends.out).toBe("|");
  });
});
