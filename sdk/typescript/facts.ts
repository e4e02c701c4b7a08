import * as known from "penstock:plugin/facts@1.0.0";

/** What is known of an exchange or a stream beside its bytes. */
export const facts = {
  get route(): string {
    return known.property("route");
  },

  get tenant(): string {
    return known.property("tenant");
  },

  /** `name@version`. */
  get plugin(): string {
    return known.property("plugin");
  },

  /** `http`, `https`, `tcp`, `udp`, `tls`. */
  get protocol(): string {
    return known.property("protocol");
  },

  /** The name that a TLS client asked for; empty: none. */
  get serverName(): string {
    return known.property("server-name");
  },

  /** Where a steered client wanted to go, `address:port`; empty: to the listener. */
  get originalDestination(): string {
    return known.property("original-destination");
  },

  /** `address:port`; empty before one is chosen. */
  get endpoint(): string {
    return known.property("endpoint");
  },

  /** In `onEnd`: one word for how it ended. */
  get outcome(): string {
    return known.property("outcome");
  },

  /** SHA-256 of the client's certificate, in hexadecimal; empty: none. */
  get clientCertificate(): string {
    return known.property("client-certificate");
  },

  /** In `onEnd`: milliseconds from the head, or the connection, to the end. NaN before. */
  get durationMs(): number {
    return known.measure("duration-ms");
  },

  /** Bytes of bodies, or of the stream, from the client and to it, so far. */
  get bytesReceived(): number {
    return known.measure("bytes-received");
  },

  get bytesSent(): number {
    return known.measure("bytes-sent");
  },

  /** Of the response; NaN: there was none. */
  get status(): number {
    return known.measure("status");
  },
};
