import { expect, test } from "vitest";
import { Backoff } from "#main/supervisor/backoff.ts";

test("at once, then twice as long each time, up to ten seconds", () => {
  const backoff = new Backoff();
  expect(Array.from({ length: 10 }, () => backoff.next(5))).toEqual([
    0, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000,
  ]);
});

test("a child that lived ten seconds has recovered", () => {
  const backoff = new Backoff();
  backoff.next(5);
  backoff.next(5);
  expect(backoff.next(9_999)).toBe(200);
  expect(backoff.next(10_000)).toBe(0);
  expect(backoff.next(5)).toBe(100);
});
