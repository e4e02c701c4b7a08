/**
 * Attaching programs where the stack begins and ends, for packets of a device: by TCX links (6.6 and later), and where the
 * kernel has none by a filter behind clsact. A filter is no link: it outlives a process that is killed. The next one finds
 * it by its name and priority and takes its place.
 */
import { EEXIST, EINVAL } from "#core/errno.ts";
import { Rtnetlink } from "#bpf/netlink/rtnetlink.ts";
import type { Direction, NewFilter } from "#bpf/netlink/filters.ts";
import { errnoOf } from "./call.ts";
import { Link } from "./link.ts";
import type { Program } from "./program.ts";

export interface TcAttachment {
  readonly kind: "tcx" | "clsact";
  readonly device: string;
  /** No packet meets neither. */
  update(program: Program, old: Program): void;
  /** 0 where there is no link. */
  linkId(): number;
  close(): void;
}

/** Behind what others usually take (tc numbers downwards from 49152). */
const PRIORITY = 0xc0de;
const HANDLE = 1;

/**
 * Behind what is there already; programs of others stay and run. `index`: of an interface in the network namespace that
 * this thread is in. Throws PENSTOCK_BPF_ATTACH, and by clsact PENSTOCK_BPF_NETLINK.
 */
export function attachIngress(program: Program, device: string, index: number): TcAttachment {
  return attachTc(program, device, index, "ingress");
}

/** The program must have been made for that direction (`SEC("tcx/ingress")`). `way`: `auto` tries TCX first. */
export function attachTc(
  program: Program,
  device: string,
  index: number,
  direction: Direction,
  way: "auto" | "tcx" | "clsact" = "auto",
): TcAttachment {
  if (way === "clsact") return attachClsact(program, device, index, direction);
  try {
    return attachLink(program, device, index, direction);
  } catch (error) {
    // A kernel that does not know the place calls it an invalid argument.
    if (way === "tcx" || errnoOf(error) !== EINVAL) throw error;
    return attachClsact(program, device, index, direction);
  }
}

function attachLink(program: Program, device: string, index: number, direction: Direction): TcAttachment {
  const link = Link.toInterface(program, index, 0, `${device} tcx ${direction}`);
  return {
    kind: "tcx",
    device,
    update: (next, old) => link.update(next, old),
    linkId: () => link.info().id,
    close: () => link.close(),
  };
}

function attachClsact(program: Program, device: string, index: number, direction: Direction): TcAttachment {
  const filter = (each: Program): NewFilter => ({
    index,
    direction,
    priority: PRIORITY,
    handle: HANDLE,
    program: each.fd,
    name: `penstock_${each.name}`,
  });
  // The socket belongs to the device's network namespace and stays there, wherever the thread is later.
  const netlink = new Rtnetlink();
  try {
    const made = ensureClsact(netlink, index);
    netlink.replaceFilter(filter(program));
    return {
      kind: "clsact",
      device,
      update: (next) => netlink.replaceFilter(filter(next)),
      linkId: () => 0,
      close: () => {
        release(netlink, filter(program), made);
        netlink.close();
      },
    };
  } catch (error) {
    netlink.close();
    throw error;
  }
}

/** Whether it was made here: then it goes with its last filter. */
function ensureClsact(netlink: Rtnetlink, index: number): boolean {
  try {
    netlink.addClsact(index);
    return true;
  } catch (error) {
    if (errnoOf(error) !== EEXIST) throw error;
    return false;
  }
}

function release(netlink: Rtnetlink, filter: NewFilter, ownsClsact: boolean): void {
  const { index } = filter;
  // The device may have gone, and what stood on it.
  if (netlink.link(index) === null || !netlink.hasClsact(index)) return;
  if (netlink.filters(index, filter.direction).some((each) => each.priority === filter.priority)) {
    netlink.deleteFilter(filter);
  }
  const others = (["ingress", "egress"] as const).flatMap((each) => netlink.filters(index, each));
  if (ownsClsact && others.length === 0) netlink.deleteClsact(index);
}
