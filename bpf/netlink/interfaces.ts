/**
 * Network interfaces by name, of the network namespace this thread is in. `setXdp` is the classic way to attach, without
 * a link; the gateway itself attaches by links, which vanish with their owner.
 */
import { bpfError } from "#core/errors/bpf.ts";
import type { NetworkLink, XdpSetting } from "./links.ts";
import { Rtnetlink } from "./rtnetlink.ts";

/** Null when there is none of that name. */
export function findInterface(name: string): NetworkLink | null {
  return withNetlink((netlink) => netlink.link(name));
}

/** As `findInterface`, where it must be there. Throws PENSTOCK_BPF_DEVICE. */
export function networkInterface(name: string): NetworkLink {
  const found = findInterface(name);
  if (found === null) throw bpfError("PENSTOCK_BPF_DEVICE", { detail: name });
  return found;
}

/** Throws PENSTOCK_BPF_NETLINK, with the kernel's words; PENSTOCK_BPF_DEVICE. */
export function setXdp(name: string, setting: XdpSetting): void {
  const { index } = networkInterface(name);
  withNetlink((netlink) => netlink.setXdp(index, setting));
}

function withNetlink<T>(work: (netlink: Rtnetlink) => T): T {
  const netlink = new Rtnetlink();
  try {
    return work(netlink);
  } finally {
    netlink.close();
  }
}
