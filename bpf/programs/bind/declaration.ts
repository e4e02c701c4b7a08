/** What a binding is told to be: addresses and ports of this host that belong to one listener. */
export interface BindingDeclaration {
  readonly name: string;
  /** Index into the listeners. */
  readonly listener: number;
  /** The listener's. */
  readonly protocol: "tcp" | "udp";
  readonly match: readonly BindPlace[];
  /** Refused, as if nobody listened. Decides over `match` and `except` of prefixes that are no longer than its own. */
  readonly deny: readonly BindPlace[];
  /** Left to whoever listens there. */
  readonly except: readonly BindPlace[];
  /** While the gateway does not serve: `closed` refuses, `open` leaves it to whoever listens. */
  readonly onFailure: "open" | "closed";
  readonly leaseMs: number;
}

export interface BindPlace {
  /** As text; null: every address of both families. */
  readonly prefix: string | null;
  /** Both ends included. */
  readonly ports: readonly { readonly first: number; readonly last: number }[];
}
