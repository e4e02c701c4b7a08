/** What an upstream makes of its settings, without sockets: endpoints that begin slowly, and limits of the whole gateway. */
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Member } from "#upstream/member.ts";
import { seeded } from "#test/support/seeded.ts";
import { testEndpoints, testUpstream } from "./support.ts";

afterEach(() => void vi.restoreAllMocks());

describe("a slow start", () => {
  const SLOW_START_MS = 10_000;
  const PICKS = 4000;
  const [OLD, NEW] = ["10.0.0.1:80", "10.0.0.2:80"];

  /** The share of an endpoint that has been usable for a part of the slow start. */
  function shareAfter(part: number, type: "round-robin" | "random" | "least-request"): number {
    vi.spyOn(Math, "random").mockImplementation(seeded(5));
    const endpoints = testEndpoints();
    const upstream = testUpstream(
      { endpoints: [OLD, NEW], upstream: { slowStartMs: SLOW_START_MS, balancer: { type, key: "" } } },
      endpoints,
    );
    const fresh = upstream.members.find(({ address }) => address === NEW) as Member;
    fresh.usableSinceMs = endpoints.context.loop.nowMs - part * SLOW_START_MS;
    let picked = 0;
    for (let i = 0; i < PICKS; i++) if (upstream.pick(null, "", []) === fresh) picked++;
    return picked / PICKS;
  }

  it.each(["round-robin", "random", "least-request"] as const)("%s: its share grows to the whole", (type) => {
    const shares = [0, 0.2, 0.4, 0.6, 0.8, 1].map((part) => shareAfter(part, type));
    // Never nothing, or it would not be known how it does.
    expect(shares[0]).toBeGreaterThan(0.01);
    expect(shares[0]).toBeLessThan(0.25);
    for (const [i, share] of shares.entries()) expect(share).toBeGreaterThan((shares[i - 1] ?? 0) - 0.03);
    expect(shares.at(-1)).toBeCloseTo(0.5, 1);
    expect((shares[3] ?? 0) - (shares[0] ?? 0)).toBeGreaterThan(0.1);
  });

  it("is no reason to refuse anybody: who is alone gets all", () => {
    const endpoints = testEndpoints();
    const upstream = testUpstream({ endpoints: [NEW], upstream: { slowStartMs: SLOW_START_MS } }, endpoints);
    const [fresh] = upstream.members as [Member];
    fresh.usableSinceMs = endpoints.context.loop.nowMs;
    for (let i = 0; i < 100; i++) expect(upstream.pick(null, "", [])).toBe(fresh);
  });

  it("begins when an endpoint joins others, and when it is back; not at the gateway's own start", () => {
    const endpoints = testEndpoints();
    const upstream = { slowStartMs: SLOW_START_MS };
    const first = testUpstream({ endpoints: [OLD], upstream }, endpoints);
    expect(first.members[0]?.usableSinceMs).toBe(-Infinity);
    const second = testUpstream({ endpoints: [OLD, NEW], upstream }, endpoints);
    const { nowMs } = endpoints.context.loop;
    expect(second.members.map(({ usableSinceMs }) => usableSinceMs)).toEqual([-Infinity, nowMs]);
    second.members[0]?.setHealthy(false);
    second.members[0]?.setHealthy(true);
    expect(second.members[0]?.usableSinceMs).toBe(nowMs);
  });
});

describe("limits", () => {
  it.each([
    ["divided by the workers", { requestsMax: 12 }, 4, 3],
    ["rounded up, so that each worker has some", { requestsMax: 10 }, 4, 3],
    ["one each at least", { connectionsMax: 1 }, 8, 1],
    ["the smaller of the two, since a request is a connection", { connectionsMax: 30, requestsMax: 20 }, 2, 10],
    ["the only one of the two", { connectionsMax: 30, requestsMax: 0 }, 2, 15],
    ["none", {}, 2, Infinity],
  ])("are %s", (_how, limits, workers, each) => {
    const upstream = testUpstream(
      {
        endpoints: ["10.0.0.1:80", "10.0.0.2:80"],
        upstream: { limits: { connectionsMax: 0, requestsMax: 0, queueMax: 0, queueMs: 1000, ...limits } },
      },
      testEndpoints(workers),
    );
    upstream.activate();
    expect(upstream.members.map(({ requestsMax }) => requestsMax)).toEqual([each, each]);
  });

  it("make an endpoint unavailable at its worker's part, and available below it", () => {
    const upstream = testUpstream(
      {
        endpoints: ["10.0.0.1:80"],
        upstream: { limits: { connectionsMax: 0, requestsMax: 5, queueMax: 0, queueMs: 1000 } },
      },
      testEndpoints(2),
    );
    upstream.activate();
    const [member] = upstream.members as [Member];
    for (let i = 0; i < 3; i++) {
      expect(upstream.pick(null, "", [])).toBe(member);
      member.endpoint.enter();
    }
    expect(upstream.pick(null, "", [])).toBeNull();
    member.endpoint.leave();
    expect(upstream.pick(null, "", [])).toBe(member);
  });
});
