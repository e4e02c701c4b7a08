/**
 * What of the kernel part outlives this process when it is killed, in a folder of a bpffs (kernel/pins.ts):
 *
 *     a killed gateway     its XDP programs stay on their devices, over the same maps: who was dropped is dropped
 *     the next one         takes links and maps up, and replaces the programs behind the links: no packet meets none
 *     a clean stop         lets go of all of it
 *
 * After every commit the pins are made to be what the features name, by difference. What an earlier process left and the
 * first commit did not take up is let go with it.
 */
import type { BpfMap } from "#bpf/kernel/map.ts";
import type { Link } from "#bpf/kernel/link.ts";
import type { PinFolder } from "#bpf/kernel/pins.ts";
import type { LeftBehind, PinSet } from "./feature.ts";

/** Of the layouts of what is pinned: raised whenever one of them changes. */
export const PIN_VERSION = 1;

export class Pinning implements LeftBehind {
  readonly #folder: PinFolder;
  /** Objects of this process, by the names that they are pinned under. */
  readonly #links = new Map<string, Link>();
  readonly #maps = new Map<string, BpfMap>();
  #settled = false;
  /** Why the last commit is not pinned, or not whole. */
  #failure: string | null = null;

  constructor(folder: PinFolder) {
    this.#folder = folder;
  }

  map(name: string): BpfMap | null {
    return this.#settled ? null : this.#folder.map(name);
  }

  link(name: string): Link | null {
    return this.#settled ? null : this.#folder.link(name);
  }

  /** After another process has pinned its own under our names. */
  again(sets: readonly PinSet[]): void {
    this.#links.clear();
    this.#maps.clear();
    this.sync(sets);
  }

  /** After a commit. What the bpffs does not take is in force all the same, and not pinned: `facts` says so, and why. */
  sync(sets: readonly PinSet[]): void {
    this.#settled = true;
    try {
      this.#pin(sets);
      this.#failure = null;
    } catch (error) {
      this.#failure = error instanceof Error ? error.message : String(error);
    }
  }

  #pin(sets: readonly PinSet[]): void {
    const links = new Map(sets.flatMap((set) => [...set.links]));
    const maps = new Map(sets.flatMap((set) => [...set.maps]));
    // Maps first: a pinned link whose maps are not would filter by lists that nobody can reach.
    for (const [name, map] of maps) {
      if (this.#maps.get(name) === map) continue;
      this.#folder.pinMap(name, map);
      this.#maps.set(name, map);
    }
    for (const [name, link] of links) {
      if (this.#links.get(name) === link) continue;
      this.#folder.pinLink(name, link);
      this.#links.set(name, link);
    }
    this.#forget("links", links, this.#links);
    this.#forget("maps", maps, this.#maps);
  }

  #forget(kind: "links" | "maps", wanted: ReadonlyMap<string, unknown>, held: Map<string, unknown>): void {
    for (const name of this.#folder.names(kind)) {
      if (wanted.has(name)) continue;
      this.#folder.unpin(kind, name);
      held.delete(name);
    }
  }

  /** How many links are pinned, what is not, and what other versions left. */
  facts(): string[] {
    const others = this.#folder.otherVersions().map((each) => `pins of another version, left alone: ${each}`);
    if (this.#failure !== null) others.unshift(`not everything is pinned: ${this.#failure}`);
    const [links, maps] = [this.#links.size, this.#maps.size];
    return links + maps === 0 ? others : [`pinned: ${links} links and ${maps} maps, which outlive a kill`, ...others];
  }

  /** A clean stop. */
  release(): void {
    this.#folder.remove();
    this.#links.clear();
    this.#maps.clear();
  }
}
