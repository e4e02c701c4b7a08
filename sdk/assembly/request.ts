// The request, and who sent it.
import { Headers } from "./headers";
import { request_part, set_target } from "./host";
import { BUFFER_BYTES, bufferFor, decode, encode, encoded, encodedLength, inBuffer } from "./text";

const METHOD: i32 = 0;
const PATH: i32 = 1;
const QUERY: i32 = 2;
const HOST: i32 = 3;
const SCHEME: i32 = 4;
const CLIENT_ADDRESS: i32 = 5;
const CLIENT_BYTES: i32 = 6;

const clientBuffer: usize = memory.data(16, 8);

function part(which: i32): string {
  let buffer = inBuffer;
  let length = request_part(which, buffer, BUFFER_BYTES);
  if (length > BUFFER_BYTES) {
    buffer = bufferFor(length);
    length = request_part(which, buffer, length);
  }
  return length < 0 ? "" : decode(buffer, length);
}

export class Request extends Headers {
  constructor() {
    super(0);
  }

  get method(): string {
    return part(METHOD);
  }

  /** Normalised, without query: what the route was chosen by. */
  get path(): string {
    return part(PATH);
  }

  /** Without the question mark. */
  get query(): string {
    return part(QUERY);
  }

  /** In lower case, without port. */
  get host(): string {
    return part(HOST);
  }

  /** `http` or `https`. */
  get scheme(): string {
    return part(SCHEME);
  }

  /** `203.0.113.7` or `2001:db8::7`. */
  get clientAddress(): string {
    return part(CLIENT_ADDRESS);
  }

  /** `/path?query` for the upstream; the route is not chosen again. False: not valid. */
  setTarget(target: string): bool {
    encode(target);
    return set_target(encoded, encodedLength) == 1;
  }
}

/** Address of the client's 16 address bytes, IPv4 mapped. Valid until the next call. */
export function clientBytes(): usize {
  request_part(CLIENT_BYTES, clientBuffer, 16);
  return clientBuffer;
}
