/**
 * Where a program stands that belongs on several devices: one place for each, by the device's index, since a name may come
 * back as another device. Devices that go take their link with them; ones that come are found when the places are brought
 * up to date. Which devices are wanted is the caller's to say.
 */
import type { Direction } from "#bpf/netlink/filters.ts";
import type { NetworkLink } from "#bpf/netlink/links.ts";
import { Rtnetlink } from "#bpf/netlink/rtnetlink.ts";
import type { Program } from "#bpf/kernel/program.ts";
import { attachTc, type TcAttachment } from "#bpf/kernel/tcx.ts";
import type { Undo } from "./feature.ts";

/** The program for a device; the same one for all of them, or one for each kind. */
export type ProgramFor = (link: NetworkLink) => Program;

/** Of the network namespace that this thread is in. */
export function listLinks(): NetworkLink[] {
  const netlink = new Rtnetlink();
  try {
    return netlink.links();
  } finally {
    netlink.close();
  }
}

export class DevicePlaces {
  readonly #direction: Direction;
  #places = new Map<number, TcAttachment>();

  constructor(direction: Direction) {
    this.#direction = direction;
  }

  get all(): TcAttachment[] {
    return [...this.#places.values()];
  }

  /**
   * Puts `program` on all of `wanted`, in place of `old` where that is. A device that refuses fails the whole: what was
   * done is on `undo`. Places that are not wanted any more are still held.
   */
  change(wanted: readonly NetworkLink[], program: ProgramFor, old: ProgramFor | null, undo: Undo): void {
    for (const link of wanted) {
      const place = this.#places.get(link.index);
      if (place === undefined) {
        this.#attach(link, program(link), undo);
        continue;
      }
      const [now, before] = [program(link), old?.(link) ?? null];
      if (before === null || before === now) continue;
      place.update(now, before);
      undo.push(() => place.update(before, now));
    }
  }

  /** Lets go of devices that are gone, or not wanted any more. */
  release(wanted: readonly NetworkLink[]): void {
    const kept = new Set(wanted.map(({ index }) => index));
    for (const [index, place] of this.#places) {
      if (kept.has(index)) continue;
      place.close();
      this.#places.delete(index);
    }
  }

  /**
   * Follows what came and went since. Answers what a device that came has against it: it may have gone again, or take no
   * program; the others are served all the same, and it is tried again the next time.
   */
  follow(wanted: readonly NetworkLink[], program: ProgramFor): string[] {
    this.release(wanted);
    const refusals: string[] = [];
    for (const link of wanted.filter((each) => !this.#places.has(each.index))) {
      try {
        this.#attach(link, program(link), []);
      } catch (error) {
        refusals.push(`${link.name}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    return refusals;
  }

  close(): void {
    for (const place of this.#places.values()) place.close();
    this.#places.clear();
  }

  #attach({ index, name }: NetworkLink, program: Program, undo: Undo): void {
    this.#places.set(index, attachTc(program, name, index, this.#direction));
    undo.push(() => {
      this.#places.get(index)?.close();
      this.#places.delete(index);
    });
  }
}
