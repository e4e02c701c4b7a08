/** Attaching XDP programs to interfaces, by links. */
import { EBUSY, EEXIST, EPERM } from "#core/errno.ts";
import { networkInterface } from "#bpf/netlink/interfaces.ts";
import { errnoOf } from "./call.ts";
import { XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE } from "./constants.ts";
import { Link } from "./link.ts";
import type { Program } from "./program.ts";

export type XdpMode = "native" | "generic";

const FLAGS: Readonly<Record<XdpMode, number>> = { native: XDP_FLAGS_DRV_MODE, generic: XDP_FLAGS_SKB_MODE };

export interface XdpAttachment {
  readonly link: Link;
  readonly mode: XdpMode;
}

/**
 * `auto`: in the driver where that can, else behind it. Throws PENSTOCK_BPF_ATTACH: a program of another is there (EBUSY),
 * or the driver can't (EOPNOTSUPP); PENSTOCK_BPF_DEVICE.
 */
export function attachXdp(program: Program, device: string, mode: XdpMode | "auto"): XdpAttachment {
  const { index } = networkInterface(device);
  const attach = (wanted: XdpMode): XdpAttachment => ({
    link: Link.toInterface(program, index, FLAGS[wanted], `${device} xdp ${wanted}`),
    mode: wanted,
  });
  if (mode !== "auto") return attach(mode);
  try {
    return attach("native");
  } catch (error) {
    // Drivers have many ways to say that they can't, or not with their present settings; these mean something else.
    if ([EBUSY, EEXIST, EPERM].includes(errnoOf(error))) throw error;
    return attach("generic");
  }
}
