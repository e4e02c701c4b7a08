import * as events from "penstock:plugin/events@1.0.0";
import { bytesOf, textOf } from "./text.ts";

/** In `onConfigure`: `onTick` is called so often, in each worker; at least every 100 ms. */
export function tickEvery(periodMs: number): void {
  events.tickEvery(periodMs);
}

/** What `onMessage` is given. */
export class Message {
  get text(): string {
    return textOf(events.message());
  }

  /** What its sender is answered. */
  answer(text: string | Uint8Array): void {
    events.answer(typeof text === "string" ? bytesOf(text) : text);
  }
}
