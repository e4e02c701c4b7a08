// A connection of the plugin's own, to an upstream that the route allows: bytes, as they are. The hook waits as if these were any other calls.
// In any hook but `onConfigure`; what is open when the hook ends is closed.
import { connection_close, connection_receive, connection_send, start_connect, upstream_open } from "./host";
import { BUFFER_BYTES, decode, encode, encoded, encodedLength, inBuffer } from "./text";

export class Connection {
  private number: i32;

  constructor(number: i32) {
    this.number = number;
  }

  /** False: it is closed. */
  send(text: string): bool {
    encode(text);
    return connection_send(this.number, encoded, encodedLength) == 1;
  }

  sendBytes(pointer: usize, length: i32): bool {
    return connection_send(this.number, pointer, length) == 1;
  }

  /** What has come, at most 8 KiB of it, as soon as there is something; empty: the peer has ended; null: broken, or too late. */
  receive(timeoutMs: i32 = 0): string | null {
    const length = connection_receive(this.number, inBuffer, BUFFER_BYTES, timeoutMs);
    return length < 0 ? null : decode(inBuffer, length);
  }

  /** The same to `pointer`; answers how many, 0 at the end, −1 when it is broken or too late. */
  receiveBytes(pointer: usize, capacity: i32, timeoutMs: i32 = 0): i32 {
    return connection_receive(this.number, pointer, capacity, timeoutMs);
  }

  close(): void {
    connection_close(this.number);
  }
}

/** Null: the route does not allow the upstream, or none of its endpoints takes a connection. */
export function connect(upstream: string, timeoutMs: i32 = 0): Connection | null {
  encode(upstream);
  const handle = upstream_open(encoded, encodedLength);
  const number = handle < 0 ? -1 : start_connect(handle, timeoutMs);
  return number < 0 ? null : new Connection(number);
}
