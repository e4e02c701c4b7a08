/** What may go wrong in the fake network, and how often. Probabilities are of one operation, times are virtual. */

export interface Faults {
  /** A receive delivers less than has arrived. */
  readonly shortRead: number;
  /** A send takes less than there is room for. */
  readonly shortWrite: number;
  /** Every piece travels this long… */
  readonly latencyMs: number;
  /** …and so often up to `delayMs` longer. */
  readonly delay: number;
  readonly delayMs: number;
  /** A receive finds no buffer, though there are some. */
  readonly noBuffer: number;
  /** A splice ends with a step, and its bytes are received again. */
  readonly spliceEnd: number;
  /** A send meets a connection that the network has reset. */
  readonly reset: number;
  /** A connect is refused. */
  readonly refuse: number;
  /** A connect is never answered, and fails after `connectTimeoutMs`. */
  readonly connectTimeout: number;
  readonly connectTimeoutMs: number;
  /** An accept fails for want of descriptors and ends; the connection waits for the next. */
  readonly acceptError: number;
  /** Bytes that one direction of a connection holds: the two socket buffers. */
  readonly capacityBytes: number;
}

/** A network in which nothing goes wrong and nothing takes time. */
export const CALM: Faults = {
  shortRead: 0,
  shortWrite: 0,
  latencyMs: 0,
  delay: 0,
  delayMs: 0,
  noBuffer: 0,
  spliceEnd: 0,
  reset: 0,
  refuse: 0,
  connectTimeout: 0,
  // Linux gives up after six retries of SYN (net.ipv4.tcp_syn_retries), which take that long.
  connectTimeoutMs: 127_000,
  acceptError: 0,
  capacityBytes: 256 * 1024,
};

/** A network that breaks every habit but no promise: no connection is lost, nothing else can be relied on. */
export const ROUGH: Faults = {
  ...CALM,
  shortRead: 0.5,
  shortWrite: 0.5,
  latencyMs: 0.2,
  delay: 0.3,
  delayMs: 20,
  noBuffer: 0.1,
  spliceEnd: 0.1,
  capacityBytes: 20_000,
};

/** And one that loses connections too. */
export const STORMY: Faults = {
  ...ROUGH,
  reset: 0.002,
  refuse: 0.02,
  connectTimeout: 0.01,
  acceptError: 0.02,
};
