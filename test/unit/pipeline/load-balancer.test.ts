import { describe, expect, it } from "vitest";
import { Cache } from "#pipeline/library/cache.ts";
import { LoadBalancer, type LoadBalancerOptions } from "#pipeline/library/load-balancer.ts";
import type { Algorithm } from "#pipeline/library/strategies.ts";

interface Backend {
  readonly address: string;
  readonly weight: number;
}

const byAddress: LoadBalancerOptions<Backend> = { key: ({ address }) => address, weight: ({ weight }) => weight };
const algorithms: Algorithm[] = ["round-robin", "least-load", "hash", "maglev"];

function shares(balancer: LoadBalancer<Backend>, picks: number, tag: (i: number) => unknown): Map<string, number> {
  const counts = new Map<string, number>();
  for (let i = 0; i < picks; i++) {
    const { target } = balancer.allocate(tag(i));
    const address = target?.address ?? "none";
    counts.set(address, (counts.get(address) ?? 0) + 1);
  }
  return counts;
}

describe.each(algorithms)("%s", (algorithm) => {
  const weighted = [
    { address: "a", weight: 1 },
    { address: "b", weight: 2 },
    { address: "c", weight: 0 },
  ];

  it("shares by weight", () => {
    const balancer = new LoadBalancer(weighted, { ...byAddress, algorithm });
    const counts = shares(balancer, 3000, (i) =>
      algorithm === "hash" || algorithm === "maglev" ? `key ${i}` : undefined,
    );
    expect(counts.get("a")).toBeGreaterThan(900);
    expect(counts.get("a")).toBeLessThan(1100);
    expect(counts.has("c")).toBe(false);
    expect(counts.has("none")).toBe(false);
  });

  it("keeps a tag where it is, until that can't take it", () => {
    const balancer = new LoadBalancer(["a", "b", "c", "d"], { algorithm });
    const before = Array.from({ length: 200 }, (_, i) => balancer.allocate(`tag ${i}`).target);
    expect(new Set(before).size).toBe(4);
    expect(Array.from({ length: 200 }, (_, i) => balancer.allocate(`tag ${i}`).target)).toEqual(before);
    balancer.setHealthy("b", false);
    const without = Array.from({ length: 200 }, (_, i) => balancer.allocate(`tag ${i}`).target);
    before.forEach((target, i) => {
      if (target === "b") expect(without[i]).not.toBe("b");
      else expect(without[i]).toBe(target);
    });
  });

  it("leaves out what is excluded, full or unhealthy", () => {
    const balancer = new LoadBalancer(["a", "b"], { algorithm, capacity: 2 });
    expect(balancer.allocate("x", new Set(["a"])).target).toBe("b");
    const unhealthy = new Cache<string, boolean>();
    unhealthy.set("b", true);
    const held = [balancer.allocate("x", unhealthy), balancer.allocate("y", unhealthy)];
    expect(held.map(({ target }) => target)).toEqual(["a", "a"]);
    expect(balancer.allocate("z").target).toBe("b");
    const none = balancer.allocate("z");
    expect(none.target).toBeUndefined();
    none.free();
    held[0]?.free();
    held[0]?.free();
    expect(balancer.allocate("z").target).toBe("a");
    expect(balancer.allocate("z").target).toBeUndefined();
  });

  it("takes new targets, and remembers those that stay", () => {
    const balancer = new LoadBalancer(["a", "b"], { algorithm, capacity: 1 });
    const held = balancer.allocate(undefined, new Set(["b"]));
    balancer.setHealthy("b", false);
    balancer.provision(["a", "b", "c"]);
    expect(balancer.allocate("x").target).toBe("c");
    expect(balancer.allocate("x").target).toBeUndefined();
    held.free();
    expect(balancer.allocate("x").target).toBe("a");
    balancer.provision([]);
    expect(balancer.allocate("x").target).toBeUndefined();
  });

  it("tells whom the next would get, and gives them nothing", () => {
    const balancer = new LoadBalancer(weighted, { ...byAddress, algorithm });
    const planned = balancer.schedule(6).map(({ address }) => address);
    expect(planned.toSorted()).toEqual(["a", "a", "b", "b", "b", "b"]);
    expect(Array.from({ length: 6 }, () => balancer.allocate().target?.address)).toEqual(planned);
  });
});

describe("targets", () => {
  it("are refused with the reason", () => {
    expect(() => new LoadBalancer(["a", "a"])).toThrow("twice");
    expect(() => new LoadBalancer(["a"], { weight: () => -1 })).toThrow("weight -1");
    expect(() => new LoadBalancer(["a"], { capacity: 0 })).toThrow("capacity 0");
    expect(() => new LoadBalancer([{}], { algorithm: "maglev" })).toThrow("key");
    expect(() => new LoadBalancer([], { algorithm: "fair" as Algorithm })).toThrow('"fair"');
  });

  it("that are refused change nothing", () => {
    const balancer = new LoadBalancer(["a"]);
    expect(() => balancer.provision(["b", "b"])).toThrow("twice");
    expect(balancer.allocate().target).toBe("a");
  });
});

it.each(["round-robin", "least-load"] as const)(
  "%s remembers tags in the cache that it is given, as long as that does",
  (algorithm) => {
    const sessionCache = new Cache<unknown, unknown>(null, { size: 1 });
    const [one, other] = [
      new LoadBalancer(["a", "b"], { algorithm, sessionCache }),
      new LoadBalancer(["a", "b"], { algorithm, sessionCache }),
    ];
    const first = one.allocate("kim").target;
    expect(sessionCache.get("kim")).toBe(first);
    other.allocate();
    expect([one.allocate("kim").target, other.allocate("kim").target]).toEqual([first, first]);
    one.allocate("lee");
    expect([sessionCache.has("kim"), sessionCache.has("lee")]).toEqual([false, true]);
  },
);

it("least-load goes by what is out, for its weight", () => {
  const balancer = new LoadBalancer(
    [
      { address: "a", weight: 1 },
      { address: "b", weight: 3 },
    ],
    { ...byAddress, algorithm: "least-load" },
  );
  const held = Array.from({ length: 8 }, () => balancer.allocate());
  expect(held.filter(({ target }) => target?.address === "b")).toHaveLength(6);
  for (const one of held) if (one.target?.address === "a") one.free();
  expect([balancer.allocate(), balancer.allocate()].map(({ target }) => target?.address)).toEqual(["a", "a"]);
});
