// A request of the plugin's own, in any hook but `onConfigure`. The hook waits for the answer as if `fetch` were any other call; a body or a stream that it
// is about waits with it.
import { Body } from "./body";
import {
  fetch_header, fetched_body, fetched_error, fetched_header, start_fetch, upstream_open,
} from "./host";
import {
  BUFFER_BYTES, bufferFor, decode, encode, encoded, encodedAre, encodedCopy, encodedLength, inBuffer,
} from "./text";

export class FetchOptions {
  method: string = "GET";
  body: string = "";
  /** 0: as long as the route's deadline allows. */
  timeoutMs: i32 = 0;
  private names: string[] = [];
  private values: string[] = [];
  private bytes: usize = 0;
  private byteCount: i32 = -1;

  /** What is at hand of a body or a stream, as it is, in the place of a text. At most 1 MiB. */
  bodyOf(body: Body): this {
    const size = body.size;
    const copy = heap.alloc(<usize>size);
    return this.bodyBytes(copy, body.read(0, copy, size));
  }

  /** Bytes in the place of a text. */
  bodyBytes(pointer: usize, length: i32): this {
    this.bytes = pointer;
    this.byteCount = length;
    return this;
  }

  /** Leaves them where `encode` does. */
  encodeBody(): void {
    if (this.byteCount < 0) encode(this.body);
    else encodedAre(this.bytes, this.byteCount);
  }

  /** `name` in lower case. */
  header(name: string, value: string): this {
    this.names.push(name);
    this.values.push(value);
    return this;
  }

  /** False when the host refuses one of them. */
  sendHeaders(): bool {
    for (let at = 0; at < this.names.length; at++) {
      encode(this.names[at]);
      const name = encodedCopy();
      const nameLength = encodedLength;
      encode(this.values[at]);
      if (fetch_header(name, nameLength, encoded, encodedLength) != 1) return false;
    }
    return true;
  }
}

/** The answer; its parts are asked for when they are wanted, until the next fetch. */
export class FetchResult {
  /** 0 when there is no answer: `error` says why. */
  readonly status: i32;
  private reason: string;

  constructor(status: i32, reason: string) {
    this.status = status;
    this.reason = reason;
  }

  get ok(): bool {
    return this.status >= 200 && this.status < 300;
  }

  get error(): string {
    if (this.status != 0 || this.reason.length > 0) return this.reason;
    const length = fetched_error(inBuffer, BUFFER_BYTES);
    return length > BUFFER_BYTES ? "" : decode(inBuffer, length);
  }

  /** `name` in lower case. */
  header(name: string): string | null {
    encode(name);
    const length = fetched_header(encoded, encodedLength, inBuffer, BUFFER_BYTES);
    return length < 0 || length > BUFFER_BYTES ? null : decode(inBuffer, length);
  }

  get body(): string {
    let buffer = inBuffer;
    let length = fetched_body(buffer, BUFFER_BYTES);
    if (length > BUFFER_BYTES) {
      buffer = bufferFor(length);
      length = fetched_body(buffer, length);
    }
    return decode(buffer, length);
  }
}

/** `upstream`: a name that the route's `allow` list holds. */
export function fetch(upstream: string, path: string, options: FetchOptions | null = null): FetchResult {
  encode(upstream);
  const handle = upstream_open(encoded, encodedLength);
  if (handle < 0) return new FetchResult(0, "the route does not allow the upstream " + upstream);
  const wanted = options === null ? new FetchOptions() : options;
  if (!wanted.sendHeaders()) return new FetchResult(0, "a header was refused");
  encode(wanted.method);
  const method = encodedCopy();
  const methodLength = encodedLength;
  encode(path);
  const pathBytes = encodedCopy();
  const pathLength = encodedLength;
  wanted.encodeBody();
  const status = start_fetch(
    handle, method, methodLength, pathBytes, pathLength, encoded, encodedLength, wanted.timeoutMs,
  );
  return new FetchResult(status, "");
}
