/** The firewall on one interface: its program over the operator's own maps, and the link that holds it there. */
import { networkInterface } from "#bpf/netlink/interfaces.ts";
import { Collection } from "#bpf/kernel/collection.ts";
import type { InterfaceDeclaration } from "#bpf/manager/declarations.ts";
import type { Link } from "#bpf/kernel/link.ts";
import type { BpfMap } from "#bpf/kernel/map.ts";
import { committedSpec } from "#bpf/kernel/objects.ts";
import { sumPerCpu } from "#bpf/kernel/counters.ts";
import { attachXdp, type XdpAttachment } from "#bpf/kernel/xdp.ts";

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
  attach(): XdpAttachment {
    const { device, mode } = this.declaration;
    return attachXdp(this.collection.program("firewall"), device, mode);
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
}

/** Packets, summed over CPUs, by the names of firewall_consts.h. */
export interface FirewallCounters {
  readonly passed: number;
  readonly dropped: number;
  readonly expired: number;
  readonly notIp: number;
  readonly allowed: number;
}
