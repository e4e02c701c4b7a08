import { expect, it } from "vitest";
import { HttpDate } from "#http/date.ts";

it("tells the second it is, and asks for it no more than once in one", () => {
  const clock = { nowMs: 5000 };
  // A quarter before the next second.
  let wallMs = Date.parse("1994-11-06T08:49:37.750Z");
  let asked = 0;
  const date = new HttpDate(clock, () => {
    asked++;
    return wallMs;
  });
  const line = (): string => Buffer.from(date.line).toString("latin1");
  expect(line()).toBe("date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
  const kept = date.line;
  clock.nowMs += 249;
  wallMs += 249;
  expect(date.line).toBe(kept);
  expect(asked).toBe(1);
  clock.nowMs += 1;
  wallMs += 1;
  expect(line()).toBe("date: Sun, 06 Nov 1994 08:49:38 GMT\r\n");
  // Nobody asked for a long time, and meanwhile the clock was set.
  clock.nowMs += 100_000;
  wallMs = Date.parse("1994-11-05T23:59:59.000Z");
  expect(line()).toBe("date: Sat, 05 Nov 1994 23:59:59 GMT\r\n");
  clock.nowMs += 999;
  expect(line()).toContain("23:59:59");
  expect(asked).toBe(3);
});
