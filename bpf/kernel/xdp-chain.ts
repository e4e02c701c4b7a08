/**
 * The XDP programs of one device, behind one link (src/chain.h):
 *
 *     link -> the first program      xdp_chain: slot -> program, for all behind it      XDP_PASS
 *
 * A change is a sequence of single writes, each of which a packet sees before or after. It begins at the end of the
 * chain, so that whatever a packet meets in between is a chain that ends well: the firewall of before or the new one,
 * never none. Owns the array and the link; programs are their makers', and must outlive their place here.
 */
import { networkInterface } from "#bpf/netlink/interfaces.ts";
import { plainMap } from "#bpf/spec/plain-map.ts";
import { MAP_TYPE } from "./constants.ts";
import type { Link } from "./link.ts";
import { BpfMap } from "./map.ts";
import type { Program } from "./program.ts";
import { attachXdp, type XdpMode } from "./xdp.ts";

/** In the order in which packets meet them: the slots of chain.h. */
export const CHAIN_ORDER = ["firewall", "counter", "balancer"] as const;
export type ChainSlot = (typeof CHAIN_ORDER)[number];
export type ChainPrograms = Readonly<Partial<Record<ChainSlot, Program>>>;

/** Undoes one step. */
type Undo = (() => void)[];

export class XdpChain {
  readonly device: string;
  /** Of the interface that it was made for: another one may come under the same name. */
  readonly index: number;
  /** To be put in the place of each program's own `xdp_chain`. */
  readonly map: BpfMap;
  #programs: ChainPrograms = {};
  #link: Link | null = null;
  #mode: XdpMode | null = null;

  /** What an earlier process left attached here: taken up by the first change. */
  #left: Link | null = null;

  /**
   * Nothing is attached by it. `left`: a link on this device whose owner has gone; from now on the chain's to close, also
   * when it is on a device that has gone. Throws PENSTOCK_BPF_DEVICE.
   */
  constructor(device: string, left: Link | null = null) {
    this.device = device;
    this.index = networkInterface(device).index;
    if (left?.info().interfaceIndex === this.index) this.#left = left;
    else left?.close();
    this.map = BpfMap.create(
      plainMap({
        name: "xdp_chain",
        type: MAP_TYPE.PROG_ARRAY,
        keyBytes: 4,
        valueBytes: 4,
        maxEntries: CHAIN_ORDER.length,
      }),
    );
  }

  /** Null while nothing is attached. */
  get link(): Link | null {
    return this.#link;
  }

  get mode(): XdpMode | null {
    return this.#mode;
  }

  get programs(): ChainPrograms {
    return this.#programs;
  }

  /**
   * Puts `next`, at least one, in the place of what is there. Steps that were done are on `undo`, also when a later one
   * throws: PENSTOCK_BPF_ATTACH as `attachXdp`, PENSTOCK_BPF_CALL (ENOLINK: the device has gone).
   */
  change(next: ChainPrograms, mode: XdpMode | "auto", undo: Undo): void {
    const before = this.#programs;
    for (const slot of CHAIN_ORDER.toReversed()) {
      const program = next[slot];
      if (program !== undefined && program !== before[slot]) this.#put(slot, program, before[slot], undo);
    }
    this.#putHead(headOf(next), headOf(before), mode, undo);
    for (const slot of CHAIN_ORDER) {
      const program = before[slot];
      if (next[slot] === undefined && program !== undefined) this.#clear(slot, program, undo);
    }
    this.#programs = next;
    undo.push(() => (this.#programs = before));
  }

  /** The head of this chain behind its link again, whatever another holder of the link has put there. */
  putBack(): void {
    const head = headOf(this.#programs);
    if (head !== undefined) this.#link?.update(head, null);
  }

  /** Takes everything off; the array stays for programs that are to come. */
  clear(): void {
    this.#link?.detach();
    this.#link?.close();
    this.#link = null;
    this.#mode = null;
    for (const slot of CHAIN_ORDER) this.map.delete(key(slot));
    this.#programs = {};
  }

  /** Takes everything off, and lets go of the array, which the kernel then empties. */
  close(): void {
    this.#left?.close();
    this.#left = null;
    this.#link?.close();
    this.#link = null;
    this.map.close();
  }

  #put(slot: ChainSlot, program: Program, before: Program | undefined, undo: Undo): void {
    this.map.update(key(slot), descriptor(program));
    undo.push(() => {
      if (before === undefined) this.map.delete(key(slot));
      else this.map.update(key(slot), descriptor(before));
    });
  }

  #clear(slot: ChainSlot, program: Program, undo: Undo): void {
    this.map.delete(key(slot));
    undo.push(() => this.map.update(key(slot), descriptor(program)));
  }

  #putHead(head: Program | undefined, before: Program | undefined, mode: XdpMode | "auto", undo: Undo): void {
    if (head === undefined) return;
    const link = this.#link;
    if (link === null || before === undefined) {
      if (!this.#takeUp(head, mode)) this.#attach(head, mode, undo);
    } else if (mode !== "auto" && mode !== this.#mode) {
      this.#changeMode(head, before, link, mode, undo);
    } else if (head !== before) {
      link.update(head, before);
      undo.push(() => this.#link?.update(before, head));
    }
  }

  /**
   * Puts `head` behind the link that was left: no packet meets neither. Its former program can't be put back, since nobody
   * has it any more: a change that is undone after this leaves the link with ours, for the next one to take up.
   */
  #takeUp(head: Program, mode: XdpMode | "auto"): boolean {
    const left = this.#left;
    const found = networkInterface(this.device).xdp.mode;
    this.#left = null;
    if (left === null) return false;
    if ((found !== "native" && found !== "generic") || (mode !== "auto" && mode !== found)) {
      left.detach();
      left.close();
      return false;
    }
    left.update(head, null);
    this.#link = left;
    this.#mode = found;
    return true;
  }

  #attach(head: Program, mode: XdpMode | "auto", undo: Undo): void {
    const attached = attachXdp(head, this.device, mode);
    this.#link = attached.link;
    this.#mode = attached.mode;
    undo.push(() => {
      attached.link.close();
      this.#link = null;
    });
  }

  /** The two modes can't be in place together: here, and only here, packets pass unseen for a moment. */
  #changeMode(head: Program, before: Program, link: Link, mode: XdpMode, undo: Undo): void {
    const was = this.#mode ?? "auto";
    link.detach();
    link.close();
    this.#link = null;
    undo.push(() => this.#attach(before, was, []));
    this.#attach(head, mode, undo);
  }
}

function headOf(programs: ChainPrograms): Program | undefined {
  return CHAIN_ORDER.map((slot) => programs[slot]).find((program) => program !== undefined);
}

function key(slot: ChainSlot): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(CHAIN_ORDER.indexOf(slot));
  return bytes;
}

function descriptor(program: Program): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(program.fd);
  return bytes;
}
