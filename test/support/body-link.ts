/** Takes what a body stage lets go, and keeps it as words. */
import type { Head } from "#http/head.ts";
import { newTrailers } from "#http/trailers.ts";
import type { BodyLink, BodyStage } from "#pipeline/body.ts";
import { TestMemory } from "./http-memory.ts";

export class Link implements BodyLink {
  readonly memory: Uint8Array = new Uint8Array(2_000_000);
  readonly full = false;
  readonly seen: string[] = [];
  trailers: Head | null = null;
  /** False: nothing can go behind this body. */
  sendable = true;
  makeTrailers(): Head | null {
    if (this.sendable) this.trailers ??= newTrailers(new TestMemory());
    return this.trailers;
  }
  data(buffer: number, start: number, end: number): void {
    this.seen.push(`region ${buffer} ${start}-${end}`);
  }
  write(bytes: Uint8Array): void {
    this.seen.push(`bytes ${bytes.length > 20 ? bytes.length : Buffer.from(bytes).toString()}`);
  }
  end(): void {
    this.seen.push("end");
  }
  pause(): void {
    this.seen.push("pause");
  }
  resume(): void {
    this.seen.push("resume");
  }
  retain(): void {}
  release(): void {}
  fail(status: number, code: string): void {
    this.seen.push(`fail ${status} ${code}`);
  }
}

/** A body in these pieces, and the link's trailers behind it, through a stage that is attached to the link. */
export function passBody(stage: BodyStage, link: Link, pieces: readonly string[]): void {
  let at = 0;
  for (const piece of pieces) {
    link.memory.set(Buffer.from(piece), at);
    stage.data(7, at, at + piece.length);
    at += piece.length;
  }
  stage.end();
}
