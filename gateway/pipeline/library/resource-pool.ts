/**
 * Things that are dear to make and used by one at a time: given out, given back, given out again.
 *
 *     const scratch = new ResourcePool(() => Buffer.alloc(65_536))
 *     const buffer = scratch.allocate()
 *     …
 *     scratch.free(buffer)
 *
 * With a tag, resources of that tag are kept apart: `new ResourcePool(host => connectTo(host))`, `allocate("a.example")`.
 * What was freed last is given out first. Of one worker.
 */
import { libraryError } from "#core/errors/library.ts";

export interface ResourcePoolOptions<R> {
  /** Free ones that are kept for each tag; 100 unless given. */
  readonly idleMax?: number;
  /** Called with what is not kept. */
  readonly onDiscard?: (resource: R) => void;
}

const IDLE_MAX = 100;

export class ResourcePool<R, T = undefined> {
  readonly #make: (tag: T) => R;
  readonly #idleMax: number;
  readonly #onDiscard: (resource: R) => void;
  readonly #idle = new Map<T, R[]>();
  readonly #tagOf = new Map<R, T>();

  constructor(make: (tag: T) => R, { idleMax = IDLE_MAX, onDiscard = () => {} }: ResourcePoolOptions<R> = {}) {
    this.#make = make;
    this.#idleMax = idleMax;
    this.#onDiscard = onDiscard;
  }

  /** How many are in use. */
  get allocated(): number {
    return this.#tagOf.size;
  }

  allocate(...[tag]: undefined extends T ? [tag?: T] : [tag: T]): R {
    const resource = this.#idle.get(tag as T)?.pop() ?? this.#make(tag as T);
    this.#tagOf.set(resource, tag as T);
    return resource;
  }

  /** Throws PENSTOCK_LIBRARY_OPTION for what is not in use: two would have it. */
  free(resource: R): void {
    if (!this.#tagOf.has(resource)) {
      throw libraryError("PENSTOCK_LIBRARY_OPTION", { detail: "freed is what this pool has given out, once" });
    }
    const tag = this.#tagOf.get(resource) as T;
    this.#tagOf.delete(resource);
    const idle = this.#idle.get(tag);
    if (idle === undefined) {
      if (this.#idleMax > 0) this.#idle.set(tag, [resource]);
      else this.#onDiscard(resource);
    } else if (idle.length < this.#idleMax) idle.push(resource);
    else this.#onDiscard(resource);
  }
}
