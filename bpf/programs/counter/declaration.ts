/** What a packet counter is told to be. Filled in: its defaults are the control plane's. */
export interface CounterDeclaration {
  /** `source`: the network that packets come from. `port`: the TCP or UDP port that they are for. */
  readonly by: "source" | "port";
  /** Bits of a source that count: 32 and 128 for each host. Sources that share them are one. */
  readonly ipv4Bits: number;
  readonly ipv6Bits: number;
  /** Entries kept; beyond these, who has not been heard of for longest makes room, and its count is gone. */
  readonly entriesMax: number;
  /** Entries that metrics show, largest first: so many series and no more. */
  readonly top: number;
  /** `xdp`: before everything, behind the firewall. `tcx`: after XDP and after segments were put together. */
  readonly hook: "xdp" | "tcx";
}
