import { expect, it } from "vitest";
import { findHeadEnd } from "#http/h1/find-head-end.ts";

it.each([
  ["\r\n\r\n", 4],
  ["a\r\n\r\n", 5],
  ["ab\r\n\r\nrest\r\n\r\n", 6],
  ["abc\r\n\r\n", 7],
  ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27],
  ["a\r\nb\r\n\r\n", 8],
  ["\r\r\n\r\n", 5],
  ["\n\r\n\r\n", 5],
  ["", -1],
  ["\r\n\r", -1],
  ["\n\n\n\n", -1],
  ["\r\r\r\r\n\n", -1],
  ["\r\n\n\r\n", -1],
  ["\r\n \r\n", -1],
])("%j: %i", (text, offset) => {
  const bytes = Buffer.from(`\r\n${text}\r\n\r\n`);
  // What stands before `from` and behind `end` must not count.
  const found = findHeadEnd(bytes, 2, 2 + text.length);
  expect(found).toBe(offset < 0 ? -1 : offset + 2);
});

it("finds the end however the bytes drip in", () => {
  const bytes = Buffer.from("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\nnext");
  const end = bytes.indexOf("\r\n\r\n") + 4;
  for (let step = 1; step < bytes.length; step++) {
    let found = -1;
    let seen = 0;
    while (found < 0) {
      const from = Math.max(0, seen - 3);
      seen = Math.min(seen + step, bytes.length);
      found = findHeadEnd(bytes, from, seen);
    }
    expect(found).toBe(end);
  }
});
