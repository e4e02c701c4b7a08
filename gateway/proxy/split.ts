/**
 * Which upstream of a split gets a request: by chance, as their weights say, or the same for a client again: by what a key of
 * the request hashes to, or by a cookie that the first answer sets. The cookie holds a hash of the upstream's name.
 */
import type { Head } from "#http/head.ts";
import type { RouteAction, SplitStickiness } from "#snapshot/snapshot.ts";
import { HashKey } from "#upstream/hash-key.ts";
import { TagCookie } from "#upstream/tag-cookie.ts";
import type { Upstream } from "#upstream/upstream.ts";
import { hashText } from "#core/hash.ts";

export interface SplitPart {
  readonly upstream: Upstream;
  readonly weight: number;
}

export class Split {
  readonly parts: readonly SplitPart[];
  readonly #sum: number;
  readonly #key: HashKey | null;
  readonly #cookie: TagCookie | null;

  constructor(parts: readonly SplitPart[], stickiness: SplitStickiness | undefined) {
    this.parts = parts;
    this.#sum = parts.reduce((sum, { weight }) => sum + weight, 0);
    this.#key = stickiness?.key === undefined ? null : new HashKey(stickiness.key);
    this.#cookie = stickiness?.cookie === undefined ? null : new TagCookie(stickiness.cookie, stickiness.ttlSeconds);
  }

  /** `request`: null where there is no HTTP. `client`: its address as text. */
  choose(request: Head | null, client: string): Upstream {
    const { parts } = this;
    const first = parts[0] as SplitPart;
    if (parts.length === 1) return first.upstream;
    if (this.#cookie !== null && request !== null) {
      const tag = this.#cookie.read(request);
      const bound = tag < 0 ? undefined : parts.find(({ upstream }) => tagOf(upstream) === tag);
      if (bound !== undefined) return bound.upstream;
    }
    return this.#at(this.#key === null ? Math.random() : spread(this.#key.hashOf(request, client)));
  }

  /** Whether the answer from `upstream` is to bind the client that asked so. */
  binds(request: Head, upstream: Upstream): boolean {
    return this.#cookie !== null && this.parts.length > 1 && this.#cookie.read(request) !== tagOf(upstream);
  }

  bind(response: Head, upstream: Upstream): void {
    this.#cookie?.write(response, tagOf(upstream));
  }

  /** `share`: from 0 to below 1. */
  #at(share: number): Upstream {
    const { parts } = this;
    let ticket = share * this.#sum;
    for (let i = 0; i < parts.length; i++) {
      const { upstream, weight } = parts[i] as SplitPart;
      ticket -= weight;
      if (ticket < 0) return upstream;
    }
    return (parts.at(-1) as SplitPart).upstream;
  }
}

/**
 * The splits of a snapshot's routes. Routes that go to one upstream whole share one: of a hundred thousand, each request would find
 * another's in none of the caches.
 */
export class Splits {
  readonly #upstreams: readonly Upstream[];
  /** By upstream: all of it. */
  readonly #whole = new Map<number, Split>();

  constructor(upstreams: readonly Upstream[]) {
    this.#upstreams = upstreams;
  }

  /** Null: to where a steered client wanted to go. */
  of(action: RouteAction): Split | null {
    if (action.kind === "original") return null;
    const [only] = action.split;
    if (only === undefined || action.split.length > 1) return this.#make(action.split, action.stickiness);
    const known = this.#whole.get(only.upstream);
    if (known !== undefined) return known;
    const made = this.#make(action.split, undefined);
    this.#whole.set(only.upstream, made);
    return made;
  }

  #make(parts: readonly { readonly upstream: number; readonly weight: number }[], stickiness?: SplitStickiness): Split {
    const named = parts.map(({ upstream, weight }) => ({ upstream: this.#upstreams[upstream] as Upstream, weight }));
    return new Split(named, stickiness);
  }
}

function tagOf({ name }: Upstream): number {
  return hashText(name);
}

/** Another order than the hash's own, by which an upstream's balancer may choose: a part of the clients must not be a part of its ring. */
function spread(hash: number): number {
  return (Math.imul(hash, 0x9e3779b1) >>> 0) / 2 ** 32;
}
