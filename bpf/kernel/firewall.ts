/** The firewall on one interface: its program over the operator's own maps, and the link that holds it there. */
import { XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE } from "./constants.ts";
import { EBUSY, EEXIST, EPERM } from "#core/errno.ts";
import { networkInterface } from "#bpf/netlink/interfaces.ts";
import { errnoOf } from "./call.ts";
import { Collection } from "./collection.ts";
import type { InterfaceDeclaration } from "./declarations.ts";
import { Link } from "./link.ts";
import type { BpfMap } from "./map.ts";
import { committedSpec } from "./objects.ts";
import { sumPerCpu } from "./steering.ts";

export type XdpMode = "native" | "generic";

const FLAGS: Readonly<Record<XdpMode, number>> = { native: XDP_FLAGS_DRV_MODE, generic: XDP_FLAGS_SKB_MODE };

export interface FirewallMaps {
  readonly deny: BpfMap;
  readonly allow: BpfMap | null;
}

export class Firewall {
  readonly declaration: InterfaceDeclaration;
  readonly maps: FirewallMaps;
  readonly collection: Collection;

  /** Loads and verifies; attaches nothing. The interface must exist. */
  constructor(declaration: InterfaceDeclaration, maps: FirewallMaps) {
    this.declaration = declaration;
    this.maps = maps;
    networkInterface(declaration.device);
    this.collection = Collection.load(committedSpec("firewall"), {
      maps: { firewall_deny: maps.deny, ...(maps.allow === null ? {} : { firewall_allow: maps.allow }) },
      globals: { firewall_config: { use_allow_list: maps.allow === null ? 0 : 1 } },
    });
  }

  /** Throws PENSTOCK_BPF_ATTACH: a program of another is there (EBUSY), or the driver can't (EOPNOTSUPP). */
  attach(): { readonly link: Link; readonly mode: XdpMode } {
    const { mode } = this.declaration;
    if (mode !== "auto") return { link: this.#link(mode), mode };
    try {
      return { link: this.#link("native"), mode: "native" };
    } catch (error) {
      // Drivers have many ways to say that they can't, or not with their present settings; these mean something else.
      if ([EBUSY, EEXIST, EPERM].includes(errnoOf(error))) throw error;
      return { link: this.#link("generic"), mode: "generic" };
    }
  }

  /** Takes the place of `old` behind its link. */
  replace(old: Firewall, link: Link): void {
    link.update(this.collection.program("firewall"), old.collection.program("firewall"));
  }

  counters(): FirewallCounters {
    const [passed = 0, dropped = 0, expired = 0, notIp = 0, allowed = 0] = sumPerCpu(
      this.collection.map("firewall_counters"),
    );
    return { passed, dropped, expired, notIp, allowed };
  }

  close(): void {
    this.collection.close();
  }

  #link(mode: XdpMode): Link {
    const { device } = this.declaration;
    const program = this.collection.program("firewall");
    return Link.toInterface(program, networkInterface(device).index, FLAGS[mode], `${device} xdp ${mode}`);
  }
}

/** Packets, summed over CPUs, by the names of firewall_consts.h. */
export interface FirewallCounters {
  readonly passed: number;
  readonly dropped: number;
  readonly expired: number;
  readonly notIp: number;
  readonly allowed: number;
}
