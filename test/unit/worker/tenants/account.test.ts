/** What a tenant may use of one worker: fuel of a second and of a turn, lines, things at one time, series, entries of maps. */
import { describe, expect, it } from "vitest";
import { ADMIT, DEFER, REFUSE } from "#pipeline/tenant.ts";
import type { TenantQuotas } from "#snapshot/snapshot.ts";
import { MAPS, QUOTAS, TestMap } from "#test/support/wasm.ts";
import { Account, DEFERRED_MAX, TURN_FUEL } from "#worker/tenants/account.ts";
import { TenantMap } from "#worker/tenants/tenant-map.ts";
import { Turns } from "#worker/tenants/turns.ts";

function rig(quotas: Partial<TenantQuotas> = {}, workers = 1) {
  const host = { workers, clockMs: 1000, turns: 1, nowMs: () => host.clockMs, turn: () => host.turns };
  const later: (() => void)[] = [];
  const turns = new Turns((run) => later.push(run));
  const make = (name: string) => new Account(name, { ...QUOTAS, ...quotas }, host, turns);
  const account = make("acme");
  const read = () => {
    const all: Record<string, number> = {};
    account.read(all);
    return all;
  };
  const nextTurn = () => {
    host.turns++;
    for (const run of later.splice(0)) run();
  };
  return { host, account, make, read, nextTurn };
}

describe("fuel of a second", () => {
  it("is refused when it is used up, and comes back with time", () => {
    const { host, account, read } = rig({ fuelPerSecond: 1000 });
    expect(account.admit()).toBe(ADMIT);
    account.spend(1500);
    expect(account.admit(), "500 in debt").toBe(REFUSE);
    host.clockMs += 499;
    expect(account.admit()).toBe(REFUSE);
    host.clockMs += 2;
    expect(account.admit()).toBe(ADMIT);
    expect(read()).toMatchObject({
      'tenant_fuel{tenant="acme"}': 1500,
      'tenant_calls_refused{tenant="acme"}': 2,
    });
  });

  it("is divided among the workers, and is saved up for a second only", () => {
    const { host, account } = rig({ fuelPerSecond: 1000 }, 4);
    host.clockMs += 60_000;
    expect(account.admit()).toBe(ADMIT);
    account.spend(250);
    expect(account.admit()).toBe(REFUSE);
  });

  it("follows a change of the quota", () => {
    const { account } = rig({ fuelPerSecond: 1000 });
    account.spend(5000);
    expect(account.admit()).toBe(REFUSE);
    account.quotas = { ...QUOTAS, fuelPerSecond: 1_000_000 };
    expect(account.admit()).toBe(ADMIT);
  });
});

describe("fuel of a turn", () => {
  it("puts off what is too much until the others have had theirs, in order", () => {
    const { account, make, nextTurn } = rig();
    const other = make("other");
    const ran: string[] = [];
    const call = (who: Account, name: string, fuel: number): void => {
      const run = (): void => {
        expect(who.admit()).toBe(ADMIT);
        ran.push(name);
        who.spend(fuel);
      };
      if (who.admit() === ADMIT) run();
      else expect(who.defer(run)).toBe(true);
    };
    for (let index = 0; index < 4; index++) call(account, `heavy ${index}`, TURN_FUEL + 1);
    for (let index = 0; index < 3; index++) call(other, `light ${index}`, 10);
    expect(ran).toEqual(["heavy 0", "light 0", "light 1", "light 2"]);
    nextTurn();
    expect(ran.slice(4), "one of them, then others again").toEqual(["heavy 1"]);
    call(account, "light of heavy", 10);
    call(other, "light 3", 10);
    expect(ran.at(-1)).toBe("light 3");
    nextTurn();
    nextTurn();
    nextTurn();
    expect(ran.slice(6)).toEqual(["heavy 2", "heavy 3", "light of heavy"]);
    expect(account.admit()).toBe(ADMIT);
  });

  it("keeps only so many waiting", () => {
    const { account, read } = rig();
    account.admit();
    account.spend(TURN_FUEL + 1);
    expect(account.admit()).toBe(DEFER);
    for (let index = 0; index < DEFERRED_MAX; index++) expect(account.defer(() => undefined)).toBe(true);
    expect(account.defer(() => undefined)).toBe(false);
    expect(read()['tenant_calls_deferred{tenant="acme"}']).toBe(DEFERRED_MAX);
  });
});

it("lines of log, guests, and guests that wait are counted and bounded", () => {
  const { account, host, read } = rig({ logLinesPerSecond: 10, guests: 2, suspendedCalls: 1 });
  let lines = 0;
  while (account.takeLogLine()) lines++;
  expect(lines).toBe(20);
  host.clockMs += 100;
  expect([account.takeLogLine(), account.takeLogLine()]).toEqual([true, false]);
  expect([account.guests.take(), account.guests.take(), account.guests.take()]).toEqual([true, true, false]);
  account.guests.give();
  expect([account.guests.take(), account.suspended.take(), account.suspended.take()]).toEqual([true, true, false]);
  expect(read()).toMatchObject({
    'tenant_guests_open{tenant="acme"}': 2,
    'tenant_guests_refused{tenant="acme"}': 1,
    'tenant_suspended_refused{tenant="acme"}': 1,
    'tenant_log_lines_dropped{tenant="acme"}': 2,
  });
});

describe("series of metrics", () => {
  it("are as many as the tenant may have, whichever plugin defines them", () => {
    const { account, read } = rig({ metricSeries: 2 });
    const { metrics } = account;
    const hits = metrics.define("a", "counter", "hits");
    expect(metrics.define("a", "counter", "hits")).toBe(hits);
    expect(metrics.define("a", "gauge", "hits"), "of another kind").toBe(-1);
    expect(metrics.define("b", "counter", "hits")).not.toBe(hits);
    expect([metrics.define("b", "counter", "more"), metrics.define("a", "counter", 'a "name"')]).toEqual([-1, -1]);
    expect(read()).toMatchObject({
      'tenant_series_open{tenant="acme"}': 2,
      'tenant_series_refused{tenant="acme"}': 1,
    });
  });

  it("count, measure and observe, each in its way", () => {
    const { account, read } = rig();
    const { metrics } = account;
    const counter = metrics.define("a", "counter", "hits");
    const gauge = metrics.define("a", "gauge", "depth");
    const histogram = metrics.define("a", "histogram", "ms");
    expect([metrics.add(counter, 3), metrics.add(counter, -1), metrics.record(counter, 2)]).toEqual([
      true,
      false,
      false,
    ]);
    expect([metrics.add(gauge, 3), metrics.add(gauge, -5), metrics.record(gauge, Infinity)]).toEqual([
      true,
      true,
      false,
    ]);
    for (const value of [0.5, 3, 3, 1e9]) expect(metrics.record(histogram, value)).toBe(true);
    expect([metrics.add(histogram, 1), metrics.add(99, 1), metrics.value(99)]).toEqual([false, false, Number.NaN]);
    expect([metrics.value(counter), metrics.value(gauge), metrics.value(histogram)]).toEqual([3, -2, 4]);
    const labels = 'tenant="acme",plugin="a"';
    expect(read()).toMatchObject({
      [`plugin_counter{${labels},name="hits"}`]: 3,
      [`plugin_gauge{${labels},name="depth"}`]: -2,
      [`plugin_histogram_bucket{${labels},name="ms",le="1"}`]: 1,
      [`plugin_histogram_bucket{${labels},name="ms",le="4"}`]: 3,
      [`plugin_histogram_bucket{${labels},name="ms",le="65536"}`]: 3,
      [`plugin_histogram_bucket{${labels},name="ms",le="+Inf"}`]: 4,
      [`plugin_histogram_sum{${labels},name="ms"}`]: 1e9 + 6.5,
    });
  });
});

describe("entries of shared maps", () => {
  const key = (index: number) => Uint8Array.of(index, 0, 0, 0);
  const one = new Uint8Array(8).fill(1);
  const spec = { ...MAPS[2], name: "notes", type: "hash", key: "bytes", value: "bytes" } as (typeof MAPS)[number];

  it("are as many as the tenant may have, over all its maps", () => {
    const allowance = { entriesMax: () => 3, entries: 0, refused: 0 };
    const shared = new TestMap("notes");
    const map = new TenantMap(shared, spec, allowance);
    const other = new TenantMap(new TestMap("other"), spec, allowance);
    expect([map.put(key(1), one), map.put(key(2), one), other.put(key(1), one)]).toEqual([true, true, true]);
    expect([map.put(key(3), one), map.increment(key(4), 1n), other.put(key(2), one)]).toEqual([false, 0n, false]);
    expect(map.put(key(1), one), "its own again").toBe(true);
    shared.put(key(9), one);
    expect(map.increment(key(9), 1n), "somebody else's").toBeGreaterThan(0n);
    map.delete(key(1));
    expect(other.put(key(2), one)).toBe(true);
    shared.delete(key(2));
    expect(map.put(key(5), one), "room that another made").toBe(true);
    expect([allowance.entries, allowance.refused]).toEqual([3, 3]);
    map.dispose();
    expect(allowance.entries).toBe(2);
  });

  it("push out the tenant's own oldest where the map keeps what is used", () => {
    const shared = new TestMap("notes");
    shared.put(key(9), one);
    const map = new TenantMap(shared, { ...spec, type: "lru-hash" }, { entriesMax: () => 2, entries: 0, refused: 0 });
    for (const index of [1, 2, 3]) expect(map.put(key(index), one)).toBe(true);
    expect([1, 2, 3, 9].map((index) => shared.get(key(index)) !== null)).toEqual([false, true, true, true]);
  });
});
