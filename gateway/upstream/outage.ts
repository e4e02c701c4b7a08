/**
 * What a worker knows of an endpoint that is out, as it tells another one: the one that takes its place in an upgrade, or a
 * sibling that has just been started again. Whoever is told leaves aside what it does not have, so that what comes from another version
 * or another configuration does no harm.
 */
export interface EndpointOutage {
  readonly upstream: string;
  /** As configured, or `10.0.0.7:80` of a name. */
  readonly address: string;
  /** Why its checks have failed; null: it is not they that keep it out. */
  readonly checkError: string | null;
  /** What is left of its ejection; 0: it is not ejected. */
  readonly ejectedMs: number;
  /** Ejections without a good time in between: each makes the next one longer. */
  readonly ejections: number;
}
