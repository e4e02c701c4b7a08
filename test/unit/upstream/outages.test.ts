/** What one worker tells another of endpoints that are out, and what that one makes of it. */
import { describe, expect, it } from "vitest";
import type { UpstreamSpec } from "#snapshot/snapshot.ts";
import type { Endpoints } from "#upstream/endpoints.ts";
import type { Member } from "#upstream/member.ts";
import type { EndpointOutage } from "#upstream/outage.ts";
import { outagesOf } from "#upstream/outages.ts";
import type { Upstream } from "#upstream/upstream.ts";
import { testEndpoints, testUpstream } from "./support.ts";

const ADDRESSES = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", "10.0.0.4:80"];
const BASE_EJECTION_MS = 10_000;

const EJECTING: Partial<UpstreamSpec> = {
  outlierDetection: {
    consecutiveErrors: 2,
    baseEjectionMs: BASE_EJECTION_MS,
    maxEjectionMs: 300_000,
    maxEjectionPercent: 50,
  },
};
const CHECKED: Partial<UpstreamSpec> = {
  ...EJECTING,
  healthCheck: {
    type: "tcp",
    path: "",
    host: "",
    statusMin: 200,
    statusMax: 399,
    intervalMs: 60_000,
    timeoutMs: 1000,
    unhealthyThreshold: 1,
    healthyThreshold: 1,
  },
};

/** Lets the loop turn until so many of its milliseconds have passed. */
function pass({ context: { loop } }: Endpoints, ms: number): void {
  for (const until = loop.nowMs + ms; loop.nowMs < until;) {
    const next = loop.timers.nextWaitMs(loop.nowMs);
    loop.turn(Math.min(until - loop.nowMs, next < 0 ? Infinity : Math.max(1, next)));
  }
}

function upstreamOf(endpoints: Endpoints, upstream = CHECKED, addresses = ADDRESSES): Upstream {
  return testUpstream({ endpoints: addresses, upstream }, endpoints);
}

function told(outages: readonly EndpointOutage[], upstream = CHECKED, addresses = ADDRESSES): Upstream {
  const endpoints = testEndpoints();
  endpoints.members.expect(outages);
  const made = upstreamOf(endpoints, upstream, addresses);
  made.activate();
  return made;
}

/** A worker that has found the first endpoint unhealthy and has ejected the second, twice. */
function knowing(): { readonly outages: readonly EndpointOutage[] } {
  const endpoints = testEndpoints();
  const { loop } = endpoints.context;
  const upstream = upstreamOf(endpoints);
  upstream.activate();
  const [unhealthy, failing] = upstream.members as [Member, Member];
  unhealthy.checkError = "status 503";
  unhealthy.setHealthy(false);
  for (let i = 0; i < 2; i++) {
    failing.restore();
    for (let errors = 0; errors < 2; errors++) upstream.failed(failing);
  }
  expect([failing.ejected, failing.ejections]).toEqual([true, 2]);
  return { outages: outagesOf([upstream], loop.nowMs) };
}

const usable = (upstream: Upstream): string[] =>
  upstream.members.filter((one) => one.usable).map(({ address }) => address);

describe("outages", () => {
  it("are those of endpoints that are out, and why, and for how long", () => {
    expect(knowing().outages).toEqual([
      { upstream: "up", address: ADDRESSES[0], checkError: "status 503", ejectedMs: 0, ejections: 0 },
      { upstream: "up", address: ADDRESSES[1], checkError: null, ejectedMs: 2 * BASE_EJECTION_MS, ejections: 2 },
    ]);
  });

  it("are taken up by who begins with the same endpoints", () => {
    const upstream = told(knowing().outages);
    expect(usable(upstream)).toEqual(ADDRESSES.slice(2));
    expect(upstream.members[0]).toMatchObject({ healthy: false, checkError: "status 503", ejected: false });
    expect(upstream.members[1]).toMatchObject({ healthy: true, ejected: true, ejections: 2 });
    expect(upstream.pick(null, "", [])?.address).toMatch(/10\.0\.0\.[34]/);
    // Told once more, it is the same.
    expect(outagesOf([upstream], 0).map(({ address }) => address)).toEqual(ADDRESSES.slice(0, 2));
  });

  it("end as those of its own do: by a check that is good, and by time", () => {
    const { outages } = knowing();
    const [unhealthy] = told(outages).members as [Member];
    unhealthy.setHealthy(true);
    expect(unhealthy.usable).toBe(true);

    const endpoints = testEndpoints();
    endpoints.members.expect(outages);
    const upstream = upstreamOf(endpoints, EJECTING);
    upstream.activate();
    const ejected = upstream.members[1] as Member;
    pass(endpoints, 2 * BASE_EJECTION_MS - 1000);
    expect(ejected.usable).toBe(false);
    pass(endpoints, 2000);
    expect(ejected.usable).toBe(true);
    // The next one would be longer still, until a good time has passed.
    expect(ejected.ejections).toBe(2);
    pass(endpoints, 2 * BASE_EJECTION_MS);
    expect(ejected.ejections).toBe(0);
  });

  it("of what is not there, or is not asked about any more, are left aside", () => {
    const { outages } = knowing();
    const others = outages.map((one) => ({ ...one, upstream: "another" }));
    expect(usable(told(others))).toEqual(ADDRESSES);
    expect(usable(told(outages, CHECKED, ADDRESSES.slice(2)))).toEqual(ADDRESSES.slice(2));
    expect(usable(told(outages, {}))).toEqual(ADDRESSES);
    expect(told(outages, {}).members[1]?.ejections).toBe(0);
  });

  it("never leave out more than may be ejected", () => {
    const all = ADDRESSES.map((address) => {
      return { upstream: "up", address, checkError: null, ejectedMs: 5000, ejections: 1 };
    });
    expect(usable(told(all))).toHaveLength(2);
  });

  it("are no longer looked at behind the first snapshot", () => {
    const endpoints = testEndpoints();
    endpoints.members.expect(knowing().outages);
    upstreamOf(endpoints, CHECKED, ADDRESSES.slice(2)).activate();
    endpoints.members.expect([]);
    expect(usable(upstreamOf(endpoints))).toEqual(ADDRESSES);
  });
});
