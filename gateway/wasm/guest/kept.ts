/** What a filter keeps of one exchange, in its place of `exchange.state`; made when there is something to keep. */
import type { Exchange } from "#pipeline/filter.ts";

/** What the plugin itself keeps from hook to hook; belongs to an exchange or a stream. */
export interface Kept {
  kept: Uint8Array | null;
}

export interface ExchangeRecord extends Kept {
  /** A hook of a head that waits: it ends with the exchange. */
  waiting: { abandon(reason: string): void } | null;
}

export function recordOf(exchange: Exchange, position: number): ExchangeRecord {
  const known = exchange.state[position] as ExchangeRecord | null | undefined;
  if (known !== null && known !== undefined) return known;
  const made: ExchangeRecord = { kept: null, waiting: null };
  exchange.state[position] = made;
  return made;
}
