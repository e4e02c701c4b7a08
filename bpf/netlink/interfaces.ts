/**
 * Network interfaces by rtnetlink: their index, and what XDP program runs on them, whoever attached it. `setXdp` is the
 * classic way to attach, without a link; the gateway itself attaches by links, which vanish with their owner.
 *
 * Source: linux/rtnetlink.h, linux/if_link.h (IFLA_XDP_*).
 */
import { bpfError } from "#core/errors/bpf.ts";
import type { Fd } from "#core/brands.ts";
import { errnoName } from "#sys/libc.ts";
import { NetlinkSocket } from "#sys/netlink.ts";
import {
  attribute,
  attributes,
  int32,
  message,
  messages,
  nested,
  NLMSG_ERROR,
  NLM_F_ACK,
  NLM_F_REQUEST,
  outcome,
  text,
  type Message,
} from "./message.ts";

const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const RTM_SETLINK = 19;
const IFLA_IFNAME = 3;
const IFLA_XDP = 43;
const IFLA_XDP_FD = 1;
const IFLA_XDP_ATTACHED = 2;
const IFLA_XDP_FLAGS = 3;
const IFLA_XDP_PROG_ID = 4;
const IFLA_XDP_DRV_PROG_ID = 5;
const IFLA_XDP_SKB_PROG_ID = 6;
const IFLA_XDP_EXPECTED_FD = 8;
const XDP_FLAGS_REPLACE = 1 << 4;
/** struct ifinfomsg: family, type, index, flags, change. */
const IFINFO_BYTES = 16;
const ENODEV = 19;

/** By XDP_ATTACHED_*. */
const MODES = ["none", "native", "generic", "offloaded", "several"] as const;

export interface NetworkInterface {
  readonly name: string;
  readonly index: number;
  readonly xdp: {
    readonly mode: (typeof MODES)[number];
    /** Ids of the programs attached, native and generic. */
    readonly programIds: readonly number[];
  };
}

/** The interface of that name in the network namespace this thread is in; null when there is none. */
export function findInterface(name: string): NetworkInterface | null {
  const reply = request(RTM_GETLINK, 0, name, Buffer.alloc(IFINFO_BYTES), attribute(IFLA_IFNAME, text(name)));
  const link = reply?.find((each) => each.type === RTM_NEWLINK);
  if (link === undefined) return null;
  const found = attributes(link.body.subarray(IFINFO_BYTES));
  const xdp = attributes(found.get(IFLA_XDP) ?? Buffer.alloc(0));
  const programIds = [IFLA_XDP_PROG_ID, IFLA_XDP_DRV_PROG_ID, IFLA_XDP_SKB_PROG_ID].flatMap((type) => {
    const id = xdp.get(type);
    return id === undefined ? [] : [id.readUInt32LE(0)];
  });
  return {
    name,
    index: link.body.readInt32LE(4),
    xdp: { mode: MODES[xdp.get(IFLA_XDP_ATTACHED)?.[0] ?? 0] ?? "none", programIds: [...new Set(programIds)] },
  };
}

/** As `findInterface`, where it must be there. Throws PENSTOCK_BPF_DEVICE. */
export function networkInterface(name: string): NetworkInterface {
  const found = findInterface(name);
  if (found === null) throw bpfError("PENSTOCK_BPF_DEVICE", { detail: name });
  return found;
}

export interface XdpSetting {
  /** Program to attach; null detaches. */
  readonly program: Fd | null;
  /** XDP_FLAGS_* */
  readonly flags: number;
  /** Replace only if this one is in place. */
  readonly expected?: Fd;
}

/** Attaches or detaches without a link. Throws PENSTOCK_BPF_NETLINK, with the kernel's words. */
export function setXdp(name: string, { program, flags, expected }: XdpSetting): void {
  const info = Buffer.alloc(IFINFO_BYTES);
  info.writeInt32LE(networkInterface(name).index, 4);
  const wanted = [
    attribute(IFLA_XDP_FD, int32(program ?? -1)),
    attribute(IFLA_XDP_FLAGS, int32(expected === undefined ? flags : flags | XDP_FLAGS_REPLACE)),
  ];
  if (expected !== undefined) wanted.push(attribute(IFLA_XDP_EXPECTED_FD, int32(expected)));
  request(RTM_SETLINK, NLM_F_ACK, name, info, nested(IFLA_XDP, ...wanted));
}

/** The answer; null when there is no such interface. */
function request(type: number, flags: number, device: string, ...parts: readonly Buffer[]): Message[] | null {
  const socket = new NetlinkSocket();
  try {
    socket.send(message(type, NLM_F_REQUEST | flags, 1, ...parts));
    const reply = messages(socket.receive());
    for (const each of reply) {
      if (each.type !== NLMSG_ERROR) continue;
      const { errno, detail } = outcome(each);
      if (errno === ENODEV) return null;
      if (errno === 0) continue;
      const words = detail === "" ? "" : ` (${detail})`;
      throw bpfError("PENSTOCK_BPF_NETLINK", { detail: `${device}: ${errnoName(errno)}${words}` });
    }
    return reply;
  } finally {
    socket.close();
  }
}
