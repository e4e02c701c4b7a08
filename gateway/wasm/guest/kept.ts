/** What a filter keeps of one exchange, in its place of `exchange.state`; made when there is something to keep. */
import type { Exchange } from "#pipeline/filter.ts";

/** What the plugin itself keeps from hook to hook; belongs to an exchange or a stream. */
export interface Kept {
  kept: Uint8Array | null;
}

/** A hook that waits. */
export interface WaitingCall {
  /** Ended with its exchange. */
  readonly guest: { fail(reason: string): number };
  /** Null when the exchange has ended: nobody is to be answered. */
  exchange: Exchange | null;
}

export interface ExchangeRecord extends Kept {
  waiting: WaitingCall | null;
}

export function recordOf(exchange: Exchange, position: number): ExchangeRecord {
  const known = exchange.state[position] as ExchangeRecord | null | undefined;
  if (known !== null && known !== undefined) return known;
  const made: ExchangeRecord = { kept: null, waiting: null };
  exchange.state[position] = made;
  return made;
}
