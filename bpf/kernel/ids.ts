/** Everything of a kind that the kernel holds, by id: for reports, foreign programs, and leak tests. Needs CAP_SYS_ADMIN. */
import { asFd, type Fd } from "#core/brands.ts";
import { ENOENT, EPERM } from "#core/errno.ts";
import { BPF, bpfCall } from "#sys/bpf.ts";
import { callError, errnoOf } from "./call.ts";

type Kind = "program" | "map" | "link";

const NEXT = { program: BPF.PROG_GET_NEXT_ID, map: BPF.MAP_GET_NEXT_ID, link: BPF.LINK_GET_NEXT_ID } as const;
const OPEN = { program: BPF.PROG_GET_FD_BY_ID, map: BPF.MAP_GET_FD_BY_ID, link: BPF.LINK_GET_FD_BY_ID } as const;

/** Ids in growing order. */
export function objectIds(kind: Kind): number[] {
  const ids: number[] = [];
  for (let id = 0; ;) {
    const attr = Buffer.alloc(12);
    attr.writeUInt32LE(id, 0);
    const result = bpfCall(NEXT[kind], attr);
    if (result === -ENOENT) return ids;
    if (result < 0) throw callError(`${kind}_get_next_id`, -result);
    id = attr.readUInt32LE(4);
    ids.push(id);
  }
}

/** A new descriptor, the caller's to close; null when the object has gone meanwhile. `flags`: BPF_F_RDONLY for maps. */
export function openById(kind: Kind, id: number, flags = 0): Fd | null {
  const attr = Buffer.alloc(12);
  attr.writeUInt32LE(id, 0);
  attr.writeUInt32LE(flags, 8);
  const result = bpfCall(OPEN[kind], attr);
  if (result === -ENOENT) return null;
  if (result < 0) throw callError(`${kind}_get_fd_by_id ${id}`, -result);
  return asFd(result);
}

/** As `openById`, and null too when this process may not (EPERM). */
export function openIfAllowed(kind: Kind, id: number, flags = 0): Fd | null {
  try {
    return openById(kind, id, flags);
  } catch (error) {
    if (errnoOf(error) !== EPERM) throw error;
    return null;
  }
}
