import * as exchange from "penstock:plugin/exchange@1.0.0";
import { bytesOf, textOf } from "./text.ts";

/** What the plugin keeps of one exchange or stream, from hook to hook: at most 1 KiB. A guest serves many in turn. */
export const kept = {
  put(text: string): void {
    exchange.keep(bytesOf(text));
  },

  /** Empty before it was put. */
  get(): string {
    return textOf(exchange.kept());
  },
};
