// What is known of an exchange or a stream beside its bytes.
import { measure, property } from "./host";
import { BUFFER_BYTES, bufferFor, decode, inBuffer } from "./text";

function text(which: i32): string {
  let buffer = inBuffer;
  let length = property(which, buffer, BUFFER_BYTES);
  if (length > BUFFER_BYTES) {
    buffer = bufferFor(length);
    length = property(which, buffer, length);
  }
  return length < 0 ? "" : decode(buffer, length);
}

class Facts {
  get route(): string {
    return text(0);
  }

  get tenant(): string {
    return text(1);
  }

  /** `name@version`. */
  get plugin(): string {
    return text(2);
  }

  /** `http`, `https`, `tcp`, `udp`, `tls`. */
  get protocol(): string {
    return text(3);
  }

  /** The name that a TLS client asked for; empty: none. */
  get serverName(): string {
    return text(4);
  }

  /** Where a steered client wanted to go, `address:port`; empty: to the listener. */
  get originalDestination(): string {
    return text(5);
  }

  /** `address:port`; empty before one is chosen. */
  get endpoint(): string {
    return text(6);
  }

  /** In `onEnd`: one word for how it ended. */
  get outcome(): string {
    return text(7);
  }

  /** SHA-256 of the client's certificate, in hexadecimal; empty: none. */
  get clientCertificate(): string {
    return text(8);
  }

  /** In `onEnd`: milliseconds from the head, or the connection, to the end. NaN before. */
  get durationMs(): f64 {
    return measure(0);
  }

  /** Bytes of bodies, or of the stream, from the client and to it, so far. */
  get bytesReceived(): f64 {
    return measure(1);
  }

  get bytesSent(): f64 {
    return measure(2);
  }

  /** Of the response; 0: there was none. */
  get status(): i32 {
    const status = measure(3);
    return isNaN(status) ? 0 : <i32>status;
  }
}

export const facts = new Facts();
