/** What `prepare` made: loaded and verified, attached nowhere. Either committed or discarded, once. */
import type { Fd } from "#core/brands.ts";
import { closeNewInterface, type PlannedInterface } from "./interfaces.ts";
import type { Planned } from "./planned.ts";
import type { SharedKernelMap } from "./shared-maps.ts";
import type { Steering } from "#bpf/programs/steer/steering.ts";

export class PreparedKernel {
  readonly maps: ReadonlyMap<string, Planned<SharedKernelMap>>;
  /** By device. */
  readonly interfaces: ReadonlyMap<string, PlannedInterface>;
  readonly steerings: ReadonlyMap<string, Planned<Steering>>;
  /** The manager's count of commits that this was planned on: what it keeps must still be there. */
  readonly basis: number;
  #open = true;

  constructor(
    basis: number,
    maps: ReadonlyMap<string, Planned<SharedKernelMap>>,
    interfaces: ReadonlyMap<string, PlannedInterface>,
    steerings: ReadonlyMap<string, Planned<Steering>>,
  ) {
    this.basis = basis;
    this.maps = maps;
    this.interfaces = interfaces;
    this.steerings = steerings;
  }

  /** The descriptor that workers get with the snapshot this belongs to. The manager's: duplicated by being passed on. */
  mapFd(name: string): Fd | undefined {
    return this.maps.get(name)?.item.map.fd;
  }

  /** False when it was committed or discarded before. */
  claim(): boolean {
    const open = this.#open;
    this.#open = false;
    return open;
  }

  /** Closes what was made for it. Does nothing after a commit. */
  discard(): void {
    if (this.claim()) closeNew(this);
  }
}

export function closeNew(prepared: PreparedKernel): void {
  for (const each of prepared.interfaces.values()) closeNewInterface(each);
  for (const group of [prepared.steerings, prepared.maps]) {
    for (const { kept, item } of group.values()) if (!kept) item.close();
  }
}
