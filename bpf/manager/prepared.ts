/** What `prepare` made: loaded and verified, attached nowhere. Either committed or discarded, once. */
import type { Fd } from "#core/brands.ts";
import type { FeaturePlan } from "./feature.ts";
import type { Planned } from "./planned.ts";
import type { SharedKernelMap } from "./shared-maps.ts";

export class PreparedKernel {
  readonly maps: ReadonlyMap<string, Planned<SharedKernelMap>>;
  /** Of the features, in their order. */
  readonly plans: readonly FeaturePlan[];
  /** The manager's count of commits that this was planned on: what it keeps must still be there. */
  readonly basis: number;
  #open = true;

  constructor(basis: number, maps: ReadonlyMap<string, Planned<SharedKernelMap>>, plans: readonly FeaturePlan[]) {
    this.basis = basis;
    this.maps = maps;
    this.plans = plans;
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

export function closeNew({ plans, maps }: PreparedKernel): void {
  for (const plan of plans.toReversed()) plan.discard();
  for (const { kept, item } of maps.values()) if (!kept) item.close();
}
