/** What is known of an exchange or a stream that has ended: a line of the access log. */
export interface AccessEntry {
  readonly timeMs: number;
  readonly client: string;
  readonly method: string;
  readonly host: string;
  readonly target: string;
  readonly status: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly durationMs: number;
  readonly route: string;
  readonly upstream: string;
  readonly outcome: string;
  /** Empty: nobody has asked for one. */
  readonly requestId: string;
}
