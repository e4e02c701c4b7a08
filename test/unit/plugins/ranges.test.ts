/** Ranges and conditions: the grammar, and what RFC 9110 says of each. */
import { describe, expect, it } from "vitest";
import { conditionOf, rangeHolds } from "#plugins/conditions.ts";
import { rangesOf } from "#plugins/ranges.ts";
import { requestOf } from "./exchange.ts";

describe("ranges of ten bytes", () => {
  it.each<[string | undefined, string | null]>([
    [undefined, null],
    ["bytes=0-0", "0-0"],
    ["bytes=0-", "0-9"],
    ["bytes=9-", "9-9"],
    ["bytes=10-", ""],
    ["bytes=5-100", "5-9"],
    ["bytes=-3", "7-9"],
    ["bytes=-0", ""],
    ["bytes=-100", "0-9"],
    ["BYTES=1-2", "1-2"],
    ["bytes=1-2, 5-6", "1-2 5-6"],
    ["bytes=5-6,1-2", "5-6 1-2"],
    ["bytes=0-4,2-6", "0-6"],
    ["bytes=0-1,2-3", "0-3"],
    ["bytes=0-1,4-5,2-3", "0-5"],
    ["bytes=20-30,1-2", "1-2"],
    ["bytes=3-2", null],
    ["bytes=", null],
    ["bytes=-", null],
    ["bytes=a-b", null],
    ["bytes=1", null],
    ["items=0-1", null],
    ["bytes=0-0,2-2,4-4,6-6,8-8,0-0,0-0,0-0,0-0", null],
  ])("%j: %j", (field, expected) => {
    const ranges = rangesOf(field, 10);
    expect(ranges?.map(({ first, last }) => `${first}-${last}`).join(" ") ?? null).toBe(expected);
  });

  it("nothing can be had of an empty file", () => {
    expect(rangesOf("bytes=0-", 0)).toEqual([]);
    expect(rangesOf("bytes=-1", 0)).toEqual([]);
  });
});

const MODIFIED = "Sun, 06 Nov 1994 08:49:37 GMT";
const BEFORE = "Sun, 06 Nov 1994 08:49:36 GMT";
const AFTER = "Sun, 06 Nov 1994 08:49:38 GMT";
const validators = { etag: '"a"', modifiedMs: Date.parse(MODIFIED) };

describe("conditions", () => {
  it.each<[string[], number]>([
    [[], 0],
    [['if-none-match: "a"'], 304],
    [['if-none-match: W/"a"'], 304],
    [['if-none-match: "b", "a"'], 304],
    [["if-none-match: *"], 304],
    [['if-none-match: "b"'], 0],
    [['if-none-match: "b"', `if-modified-since: ${MODIFIED}`], 0],
    [[`if-modified-since: ${MODIFIED}`], 304],
    [[`if-modified-since: ${AFTER}`], 304],
    [[`if-modified-since: ${BEFORE}`], 0],
    [["if-modified-since: yesterday"], 0],
    [["if-modified-since: 2020-01-01"], 0],
    [['if-match: "a"'], 0],
    [['if-match: W/"a"'], 412],
    [['if-match: "b"'], 412],
    [["if-match: *"], 0],
    [['if-match: "b"', 'if-none-match: "a"'], 412],
    [['if-match: "a"', `if-unmodified-since: ${BEFORE}`], 0],
    [[`if-unmodified-since: ${MODIFIED}`], 0],
    [[`if-unmodified-since: ${BEFORE}`], 412],
  ])("%j: %i", (fields, expected) => {
    expect(conditionOf(requestOf("GET /", ...fields).request, validators)).toBe(expected);
  });

  it.each<[string, boolean]>([
    ['"a"', true],
    ['"b"', false],
    ['W/"a"', false],
    [MODIFIED, true],
    [AFTER, false],
    ["nonsense", false],
  ])("a range if %j: %s", (condition, expected) => {
    expect(rangeHolds(requestOf("GET /", `if-range: ${condition}`).request, validators)).toBe(expected);
  });
});
