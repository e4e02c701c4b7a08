/** Takes what a body stage lets go, and keeps it as words. */
import type { Head } from "#http/head.ts";
import type { BodyLink, BodyStage } from "#pipeline/body.ts";

export class Link implements BodyLink {
  readonly memory: Uint8Array = new Uint8Array(2_000_000);
  readonly full = false;
  readonly seen: string[] = [];
  data(buffer: number, start: number, end: number): void {
    this.seen.push(`region ${buffer} ${start}-${end}`);
  }
  write(bytes: Uint8Array): void {
    this.seen.push(`bytes ${bytes.length > 20 ? bytes.length : Buffer.from(bytes).toString()}`);
  }
  end(_trailers: Head | null): void {
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

/** A body in these pieces through a stage that is attached to the link. */
export function passBody(stage: BodyStage, link: Link, pieces: readonly string[], trailers: Head | null): void {
  let at = 0;
  for (const piece of pieces) {
    link.memory.set(Buffer.from(piece), at);
    stage.data(7, at, at + piece.length);
    at += piece.length;
  }
  stage.end(trailers);
}
