import * as body from "penstock:plugin/body@1.0.0";
import { textOf } from "./text.ts";

/** Bytes at hand, of a body or a stream. */
export class Body {
  /** Nothing comes after these bytes. */
  readonly isLast: boolean;

  constructor(isLast: boolean) {
    this.isLast = isLast;
  }

  get size(): number {
    return body.size();
  }

  /** All of it. */
  get text(): string {
    return textOf(this.bytes);
  }

  get bytes(): Uint8Array {
    return body.get(0, body.size());
  }

  /** Puts a text in the place of all of it. False: too long. */
  setText(text: string): boolean {
    return this.replace(0, body.size(), text);
  }

  append(text: string | Uint8Array): boolean {
    return this.replace(body.size(), 0, text);
  }

  prepend(text: string | Uint8Array): boolean {
    return this.replace(0, 0, text);
  }

  /** Puts a text in the place of `removed` bytes at `offset`. */
  replace(offset: number, removed: number, text: string | Uint8Array): boolean {
    return typeof text === "string" ? body.spliceText(offset, removed, text) : body.splice(offset, removed, text);
  }

  /** Nothing of it goes on. */
  clear(): boolean {
    return body.splice(0, body.size(), new Uint8Array(0));
  }
}

/** In `onRequest` or `onResponse`: this exchange's body need not be shown to the plugin. */
export function skipBody(): void {
  body.skip();
}
