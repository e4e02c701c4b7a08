import fc from "fast-check";
import { expect, it } from "vitest";
import { parseDocument, stringify } from "yaml";
import { readLargeFile, readQuickly } from "#control/config/large-files.ts";
import { inclusionsOf, readSources } from "#control/config/sources.ts";

/** Makes any text a large file. */
const PADDING = `# ${"x".repeat(2 ** 20)}\n`;

/** As small files are read. */
const small = (text: string): unknown =>
  parseDocument(text, { version: "1.2", schema: "core", uniqueKeys: true, stringKeys: true }).toJS();

const SCALARS = [
  ..."~ null Null NULL nULL true TRUE yes no on off 0 -0 +1 007 0o17 0O17 0x1F 0b1 1_000 1e3 1.5 .5 5. -.5e-3 .inf -.Inf +.INF".split(
    " ",
  ),
  ..."+.nan .NaN 1:30 2026-11-30 0.0.0.0:80 [::1] << = 1,000 0x 0o8 e3 . - -- 'quoted' \"a\\tb\" a#b 12345678901234567890".split(
    " ",
  ),
];

it("scalars mean what they mean in small files", () => {
  for (const scalar of SCALARS) {
    const text = `a: ${scalar}\nb: [ ${scalar.replaceAll(",", "")} ]\n`;
    const read = readQuickly(text);
    const expected = parseDocument(text, { version: "1.2", schema: "core", stringKeys: true });
    if (!read.ok) expect(expected.errors, scalar).not.toEqual([]);
    else expect(read.data, scalar).toEqual(expected.toJS());
  }
});

it("what is written by a program is read as in small files", () => {
  const text = fc.oneof(
    fc.constantFrom(...SCALARS),
    fc.string({ unit: "binary" }),
    fc.string(),
    fc.constantFrom("a\nb", "a: b", "- a", "#"),
  );
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { depthSize: "small" },
      text,
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.double({ noDefaultInfinity: true, noNaN: true }),
      fc.array(tie("any"), { maxLength: 4 }),
      fc.dictionary(fc.stringMatching(/^[a-z][a-zA-Z0-9-]{0,8}$/), tie("any"), { maxKeys: 4 }),
    ),
  })).any;
  const options = fc.constantFrom(
    {},
    { indent: 4 },
    { indentSeq: false },
    { defaultStringType: "QUOTE_SINGLE" as const },
    { collectionStyle: "flow" as const },
  );
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom("routes", "settings", "x"), value), options, (data, how) => {
      const written = stringify(data, { ...how, schema: "core", aliasDuplicateObjects: false });
      fc.pre(!/&|^%/m.test(written));
      expect(readQuickly(written)).toEqual({ ok: true, data: small(written) });
    }),
    { numRuns: 200 },
  );
});

const routes = (count: number, indent = "  "): string => {
  const one = (i: number) =>
    `${indent}- name: r${i}\n${indent}  hosts:\n${indent}    - a${i}\n${indent}    - b${i}\n${indent}  # - name: no\n${indent}  match: { path: { prefix: /${"p".repeat(60)}${i} } }\n`;
  return `routes:${indent === "" ? " # all" : ""}\n${Array.from({ length: count }, (_, i) => one(i)).join("")}`;
};

it("places of what is wrong are those that a small file would have", () => {
  for (const indent of ["", "  ", "      "]) {
    const listed = `${routes(12_000, indent)}settings:\n  drainMs: 1\n`;
    const large = readSources([{ file: "f.yaml", text: listed }]);
    const few = readSources([{ file: "f.yaml", text: `${routes(12, indent)}settings:\n  drainMs: 1\n` }]);
    expect((large.data as { routes: unknown[] }).routes).toHaveLength(12_000);
    for (const pointer of [
      "/routes/0",
      "/routes/11/name",
      "/routes/3/hosts/1",
      "/routes/3/match/path/prefix",
      "/routes/2/missing",
    ]) {
      const at = (sources: typeof large) => sources.locate({ pointer, code: "X", detail: "" }).at;
      expect([pointer, at(large)]).toEqual([pointer, at(few)]);
    }
    const last = large.locate({ pointer: "/routes/11999/hosts/0", code: "X", detail: "" }).at;
    expect(last).toBe(`f.yaml:${1 + 11_999 * 6 + 3}:${indent.length + 7}`);
  }
});

it("says where its syntax is wrong", () => {
  const text = `${routes(12_000)}  - name: "open\n`;
  const [finding, ...more] = readSources([{ file: "f.yaml", text }]).findings;
  expect(more).toEqual([]);
  expect(finding).toMatchObject({
    code: "PENSTOCK_CONFIG_SYNTAX",
    at: expect.stringMatching(/^f\.yaml:7200[12345]:\d+$/),
  });
  const twice = readSources([{ file: "f.yaml", text: `${routes(12_000)}routes: []\n` }]).findings;
  expect(twice).toMatchObject([{ detail: "duplicated mapping key", at: "f.yaml:72002:1" }]);
});

it("is left to the other parser where it has anchors or directives, or is small", () => {
  for (const text of ["a: &x 1\nb: *x\n", "%YAML 1.2\n---\na: 1\n"]) expect(readLargeFile(text + PADDING)).toBeNull();
  expect([readLargeFile("a: 1"), readLargeFile(`a: 1\n${PADDING}`)]).toEqual([null, { ok: true, data: { a: 1 } }]);
});

it("is what it is with references and inclusions, too", () => {
  const text = `${PADDING}include: [more.yaml]\nsettings: { drainMs: "\${DRAIN}" }\n`;
  expect(inclusionsOf({ file: "f.yaml", text })).toMatchObject([{ pattern: "more.yaml" }]);
  const read = readSources([{ file: "f.yaml", text }], { resolve: () => "7" });
  expect(read.findings).toEqual([]);
  expect(read.data).toMatchObject({ settings: { drainMs: "7" } });
  expect(read.data).not.toHaveProperty("include");
});
