/** Which requests are copied, and to which host; the copies themselves in test/e2e/traffic.test.ts. */
import { expect, it } from "vitest";
import { CONTINUE } from "#pipeline/filter.ts";
import type { MirrorConfig } from "#snapshot/builtin-filters.ts";
import { Clock, made, requestOf, through } from "./exchange.ts";

const CONFIG: MirrorConfig = { upstream: "shadow", percent: 100, bodyBytesMax: 10, concurrencyMax: 4, timeoutMs: 100 };

/** What a hundred requests are copied as. */
async function copies(config: Partial<MirrorConfig>): Promise<Clock["asked"]> {
  const clock = new Clock();
  const filter = made("mirror", { ...CONFIG, ...config }, clock);
  for (let i = 0; i < 100; i++) {
    expect(through(filter, requestOf(`GET /${i}`, "connection: close", "x-a: 1"))).toBe(CONTINUE);
    await Promise.resolve();
    await Promise.resolve();
  }
  return clock.asked;
}

it("copies all, a share, or none", async () => {
  expect(await copies({})).toHaveLength(100);
  const share = (await copies({ percent: 50 })).length;
  // Fifty are expected: these bounds are five standard deviations away.
  expect(share).toBeGreaterThan(25);
  expect(share).toBeLessThan(75);
  expect(await copies({ percent: 0 })).toHaveLength(0);
});

it("says its own host where it has one, and nothing of the client's connection", async () => {
  const [own] = await copies({ host: "shadow.internal" });
  expect(own).toMatchObject({ upstream: "shadow", request: { method: "GET", path: "/0" } });
  expect(own?.request.headers).toEqual([
    ["host", "shadow.internal"],
    ["x-a", "1"],
  ]);
  const [same] = await copies({});
  expect(same?.request.headers).toEqual([
    ["host", "shop.example"],
    ["x-a", "1"],
  ]);
});
