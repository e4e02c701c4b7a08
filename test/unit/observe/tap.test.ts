import { describe, expect, it } from "vitest";
import { REDACTED, redactedFields, redactedTarget } from "#observe/redact.ts";
import { Tap } from "#observe/tap.ts";

const EXCHANGE = {
  timeMs: 0,
  client: "192.0.2.1",
  method: "GET",
  host: "a.example",
  target: "/",
  headers: [],
  route: "acme/a",
  upstream: "",
  status: 200,
  outcome: "ok",
  requestBytes: 0,
  responseBytes: 0,
  durationMs: 1,
};

describe("the tap", () => {
  it("is closed until somebody asks, and when nobody has asked for a while", () => {
    const tap = new Tap();
    expect([tap.open, tap.wants("acme/a", 0)]).toEqual([false, true]);
    expect(tap.read("", 0, 1000)).toEqual([]);
    expect([tap.open, tap.wants("acme/a", 5000)]).toEqual([true, true]);
    expect([tap.wants("acme/a", 7000), tap.open]).toEqual([false, false]);
  });

  it("keeps the exchanges of its route, some of each second, the latest", () => {
    const tap = new Tap();
    tap.read("acme/a", 0, 1000);
    expect(tap.wants("acme/b", 1000)).toBe(false);
    const wanted = Array.from({ length: 200 }, () => tap.wants("acme/a", 1001)).filter(Boolean).length;
    expect(wanted).toBe(50);
    expect(tap.wants("acme/a", 2001)).toBe(true);
    for (let i = 0; i < 150; i++) tap.add(EXCHANGE);
    const kept = tap.read("acme/a", 0, 2002);
    expect([kept.length, kept[0]?.number, kept.at(-1)?.number]).toEqual([100, 51, 150]);
    expect(tap.read("acme/a", 149, 2003).map(({ number }) => number)).toEqual([150]);
    // Another route: what was kept was of the one before.
    expect(tap.read("acme/b", 0, 2004)).toEqual([]);
  });
});

describe("what may be a secret", () => {
  it.each([
    "authorization",
    "Proxy-Authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
    "x-auth-request",
    "x-csrf-token",
  ])("is not shown of the field %s", (name) => expect(redactedFields([[name, "s3cret"]])).toEqual([[name, REDACTED]]));

  it.each([
    ["/a?token=s3cret&b=1", `/a?token=${REDACTED}&b=1`],
    ["/a?%74oken=s3cret", `/a?%74oken=${REDACTED}`],
    ["/a?sig=s3cret&key=s3cret", `/a?sig=${REDACTED}&key=${REDACTED}`],
    ["http://me:s3cret@a.example/", `http://${REDACTED}@a.example/`],
    ["/a?%zz=1&plain", "/a?%zz=1&plain"],
    ["/monkeys?monkey=1", "/monkeys?monkey=1"],
  ])("is not shown of %s", (target, shown) => expect(redactedTarget(target)).toBe(shown));
});
