/**
 * A link: a program attached somewhere, as a descriptor. It holds the program, replaces it atomically, and is gone with
 * its last descriptor, so a gateway that is killed leaves nothing attached, unless it pinned the link (pins.ts).
 */
import fs from "node:fs";
import type { Fd } from "#core/brands.ts";
import { bpfError } from "#core/errors/bpf.ts";
import { BPF, bpfCall } from "#sys/bpf.ts";
import { SystemCallError } from "#sys/libc.ts";
import { closeFd, mustCall, objectInfo } from "./call.ts";
import { asFd } from "#core/brands.ts";
import { BPF_F_REPLACE } from "./constants.ts";
import type { Program } from "./program.ts";

export interface LinkInfo {
  /** enum bpf_link_type */
  readonly type: number;
  readonly id: number;
  readonly programId: number;
  /** Where an XDP link is: 0 once the device has gone, null for other kinds. */
  readonly interfaceIndex: number | null;
  /** The network namespace of an sk_lookup link, by its inode: 0 once it has gone, null for other kinds. */
  readonly netns: number | null;
}

const BPF_LINK_TYPE_NETNS = 5;
const BPF_LINK_TYPE_XDP = 6;

export class Link {
  readonly fd: Fd;
  /** For people: `eth1 xdp native`, `/sys/fs/cgroup/apps connect4`. */
  readonly place: string;

  private constructor(fd: Fd, place: string) {
    this.fd = fd;
    this.place = place;
  }

  /** To every socket of the cgroup and those below it. */
  static toCgroup(program: Program, directory: string): Link {
    const target = fs.openSync(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
    try {
      return createLink(program, target, 0, `${directory} ${program.name}`);
    } finally {
      fs.closeSync(target);
    }
  }

  /** `flags`: XDP_FLAGS_SKB_MODE or XDP_FLAGS_DRV_MODE. The interface is of the network namespace that we are in. */
  static toInterface(program: Program, index: number, flags: number, place: string): Link {
    return createLink(program, index, flags, place);
  }

  static fromFd(fd: Fd, place: string): Link {
    return new Link(fd, place);
  }

  /**
   * No packet or connect sees neither. Fails when another program than `old` is in place; null: whatever is, for a link
   * whose former owner has gone. Throws PENSTOCK_BPF_CALL, ENOLINK when the device or cgroup has gone.
   */
  update(program: Program, old: Program | null): void {
    const attr = Buffer.alloc(16);
    attr.writeUInt32LE(this.fd, 0);
    attr.writeUInt32LE(program.fd, 4);
    if (old !== null) {
      attr.writeUInt32LE(BPF_F_REPLACE, 8);
      attr.writeUInt32LE(old.fd, 12);
    }
    mustCall(BPF.LINK_UPDATE, attr, `link_update ${this.place}`);
  }

  /** Takes the program off, whoever else holds the link. */
  detach(): void {
    const attr = Buffer.alloc(4);
    attr.writeUInt32LE(this.fd, 0);
    mustCall(BPF.LINK_DETACH, attr, `link_detach ${this.place}`);
  }

  info(): LinkInfo {
    const info = objectInfo(this.fd, 64);
    const type = info.readUInt32LE(0);
    return {
      type,
      id: info.readUInt32LE(4),
      programId: info.readUInt32LE(8),
      interfaceIndex: type === BPF_LINK_TYPE_XDP ? info.readUInt32LE(16) : null,
      netns: type === BPF_LINK_TYPE_NETNS ? info.readUInt32LE(16) : null,
    };
  }

  close(): void {
    closeFd(this.fd);
  }
}

/**
 * BPF_LINK_CREATE. `put` writes what a kind of link needs besides, from byte 16 of the attribute on; `attachType`: the
 * program's own when left out. Throws PENSTOCK_BPF_ATTACH.
 */
export function createLink(
  program: Program,
  target: number,
  flags: number,
  place: string,
  put?: (attr: Buffer) => void,
  attachType: number = program.attachType,
): Link {
  const attr = Buffer.alloc(64);
  attr.writeUInt32LE(program.fd, 0);
  attr.writeUInt32LE(target, 4);
  attr.writeUInt32LE(attachType, 8);
  attr.writeUInt32LE(flags, 12);
  put?.(attr);
  const result = bpfCall(BPF.LINK_CREATE, attr);
  if (result < 0) {
    const cause = new SystemCallError("bpf link_create", -result, place);
    throw bpfError("PENSTOCK_BPF_ATTACH", { detail: cause.message, cause });
  }
  return Link.fromFd(asFd(result), place);
}
