/**
 * What a gateway that is being replaced hands to its successor: descriptors of links and maps, by the names that pins have
 * too. Whoever asks for a name owns what it gets; what nobody asked for is closed with the first commit.
 */
import type { Fd } from "#core/brands.ts";
import { closeFd } from "#bpf/kernel/call.ts";
import { Link } from "#bpf/kernel/link.ts";
import { BpfMap } from "#bpf/kernel/map.ts";
import type { LeftBehind } from "./feature.ts";

export interface HandedDescriptors {
  readonly links: ReadonlyMap<string, Fd>;
  readonly maps: ReadonlyMap<string, Fd>;
}

export class HandedOver implements LeftBehind {
  readonly #links: Map<string, Fd>;
  readonly #maps: Map<string, Fd>;

  constructor({ links, maps }: HandedDescriptors) {
    this.#links = new Map(links);
    this.#maps = new Map(maps);
  }

  map(name: string): BpfMap | null {
    const fd = take(this.#maps, name);
    return fd === null ? null : BpfMap.adopt(fd);
  }

  link(name: string): Link | null {
    const fd = take(this.#links, name);
    return fd === null ? null : Link.fromFd(fd, name);
  }

  /** Lets go of what nobody asked for: what only the one before had is taken off when that one ends. */
  close(): void {
    for (const fd of [...this.#links.values(), ...this.#maps.values()]) closeFd(fd);
    this.#links.clear();
    this.#maps.clear();
  }
}

function take(from: Map<string, Fd>, name: string): Fd | null {
  const fd = from.get(name) ?? null;
  from.delete(name);
  return fd;
}
