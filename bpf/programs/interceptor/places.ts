/**
 * Where an interceptor stands: one place for each device, by the device's index, since a name may come back as another
 * device. Devices that go take their link with them; ones that come are found when the places are brought up to date.
 */
import type { NetworkLink } from "#bpf/netlink/links.ts";
import type { Program } from "#bpf/kernel/program.ts";
import { attachIngress, type TcAttachment } from "#bpf/kernel/tcx.ts";
import type { InterceptorDeclaration } from "./declaration.ts";

export type Undo = (() => void)[];

/**
 * Whether packets from outside come in there. Not the loopback device, by which the gateway reaches the services behind
 * it; and a port of a bridge or a bond hands its packets on to that, where they are seen once, and only those for us.
 */
export function isWanted({ devices }: Pick<InterceptorDeclaration, "devices">, link: NetworkLink): boolean {
  return devices.length === 0 ? !link.loopback && link.master === null : devices.includes(link.name);
}

export class InterceptorPlaces {
  #places = new Map<number, TcAttachment>();

  get all(): TcAttachment[] {
    return [...this.#places.values()];
  }

  /**
   * Moves `program` to where `declaration` wants it, among `links`, in place of `old` where that is. A device that
   * refuses fails the whole: what was done is on `undo`. Places that are not wanted any more are still held.
   */
  change(
    declaration: InterceptorDeclaration,
    links: readonly NetworkLink[],
    program: Program,
    old: Program | null,
    undo: Undo,
  ): void {
    for (const link of links.filter((each) => isWanted(declaration, each))) {
      const place = this.#places.get(link.index);
      if (place === undefined) {
        this.#attach(link, program, undo);
      } else if (old !== null && old !== program) {
        place.update(program, old);
        undo.push(() => place.update(old, program));
      }
    }
  }

  /** Lets go of devices that are gone, or not wanted any more. */
  release(declaration: InterceptorDeclaration, links: readonly NetworkLink[]): void {
    const wanted = new Set(links.filter((each) => isWanted(declaration, each)).map(({ index }) => index));
    for (const [index, place] of this.#places) {
      if (wanted.has(index)) continue;
      place.close();
      this.#places.delete(index);
    }
  }

  /**
   * Follows what came and went since. Answers what a device that came has against it: it may have gone again, or take no
   * program; the others are served all the same, and it is tried again the next time.
   */
  follow(declaration: InterceptorDeclaration, links: readonly NetworkLink[], program: Program): string[] {
    this.release(declaration, links);
    const refusals: string[] = [];
    for (const link of links.filter((each) => isWanted(declaration, each) && !this.#places.has(each.index))) {
      try {
        this.#attach(link, program, []);
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
    this.#places.set(index, attachIngress(program, name, index));
    undo.push(() => {
      this.#places.get(index)?.close();
      this.#places.delete(index);
    });
  }
}
