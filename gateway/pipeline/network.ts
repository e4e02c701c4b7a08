/**
 * Changes of the gateway's network namespace that scripts may ask for: what `ip` calls address, route, neighbour and link. The
 * supervisor makes them, for scripts that say so in their text, and logs each.
 */
export interface NetworkThings {
  readonly address: {
    readonly device: string;
    /** `192.0.2.1/24`, `2001:db8::1/64` */
    readonly address: string;
  };
  readonly route: {
    /** `198.51.100.0/24`, `::/0` */
    readonly destination: string;
    /** Where to: a device, a gateway or both; neither for `blackhole` and its like. */
    readonly device?: string;
    readonly gateway?: string;
    readonly type?: "unicast" | "local" | "blackhole" | "unreachable" | "prohibit";
    /** The main table where it is left out. */
    readonly table?: number;
    readonly metric?: number;
    readonly preferredSource?: string;
  };
  readonly neighbour: {
    readonly device: string;
    readonly address: string;
    /** `02:00:00:00:00:01`; not needed to remove it. */
    readonly hardwareAddress?: string;
  };
}

export interface LinkSetting {
  readonly up?: boolean;
  readonly mtu?: number;
}

export type NetworkKind = keyof NetworkThings;

export type NetworkRequest =
  | {
      readonly op: "network";
      /** `replace` adds what is not there. */
      readonly verb: "add" | "replace" | "remove";
      readonly kind: NetworkKind;
      readonly value: NetworkThings[NetworkKind];
    }
  | { readonly op: "link"; readonly device: string; readonly setting: LinkSetting }
  | ({ readonly op: "netlink" } & NetlinkMessage);

/** One message of rtnetlink. Source: linux/netlink.h, linux/rtnetlink.h. */
export interface NetlinkMessage {
  /** RTM_*, and NLMSG_ERROR (2) and NLMSG_DONE (3) in answers. */
  readonly type: number;
  /** NLM_F_*; that it is a request goes without saying. */
  readonly flags: number;
  /** What follows the header: the fixed part of its type, then attributes. */
  readonly body: Uint8Array;
}
