// What a plugin keeps of one exchange or stream, from hook to hook: text up to 1024 bytes, or one number. Globals can't: requests run through
// one guest in turn.
import { exchange_get, exchange_put } from "./host";
import { BUFFER_BYTES, decode, encode, encoded, encodedLength, inBuffer } from "./text";

const number: usize = memory.data(8, 8);

export namespace kept {
  export function put(text: string): void {
    encode(text);
    exchange_put(encoded, encodedLength);
  }

  /** Empty before it was put. */
  export function get(): string {
    return decode(inBuffer, exchange_get(inBuffer, BUFFER_BYTES));
  }

  /** The same without a string. */
  export function putNumber(value: u64): void {
    store<u64>(number, value);
    exchange_put(number, 8);
  }

  /** 0 before it was put. */
  export function getNumber(): u64 {
    return exchange_get(number, 8) == 8 ? load<u64>(number) : 0;
  }
}
