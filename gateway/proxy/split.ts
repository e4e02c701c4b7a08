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

/** Null: to where a steered client wanted to go. */
export function splitOf(action: RouteAction, upstreams: readonly Upstream[]): Split | null {
  if (action.kind === "original") return null;
  const parts = action.split.map(({ upstream, weight }) => ({ upstream: upstreams[upstream] as Upstream, weight }));
  return new Split(parts, action.stickiness);
}

function tagOf({ name }: Upstream): number {
  return hashText(name);
}

/** Another order than the hash's own, by which an upstream's balancer may choose: a part of the clients must not be a part of its ring. */
function spread(hash: number): number {
  return (Math.imul(hash, 0x9e3779b1) >>> 0) / 2 ** 32;
}
