import { describe, expect, it } from "vitest";
import fc from "fast-check";
import { canonicalJson } from "#control/canonical.ts";
import { covers, ownerOf } from "#control/config/hosts.ts";
import { pointerSteps, pointerTo } from "#control/config/pointer.ts";
import { readSources } from "#control/config/sources.ts";
import { alignment, suggestion } from "#control/config/suggest.ts";
import { diff } from "#control/diff.ts";
import { exampleDeclaration } from "./example.ts";

describe("hosts", () => {
  it.each([
    ["*", "a.example", true],
    ["*", "*.example", true],
    ["a.example", "a.example", true],
    ["*.example", "a.example", true],
    ["*.example", "a.b.example", true],
    ["*.example", "*.b.example", true],
    ["*.example", "*.example", true],
    ["*.example", "example", false],
    ["*.example", "badexample", false],
    ["*.example", "*", false],
    ["a.example", "*.example", false],
  ])("%s covers %s: %s", (claim, pattern, expected) => {
    expect(covers(claim, pattern)).toBe(expected);
  });

  it("belong to the most specific claim", () => {
    const claims = ["*", "*.example", "*.shop.example", "a.shop.example"].map((pattern, at) => ({
      tenant: `t${at}`,
      pattern,
    }));
    const owner = (host: string) => ownerOf(host, claims)?.tenant;
    expect(["x.test", "b.example", "b.shop.example", "a.shop.example"].map(owner)).toEqual(["t0", "t1", "t2", "t3"]);
    expect(ownerOf("x.test", claims.slice(1))).toBeUndefined();
  });
});

describe("suggestions", () => {
  it.each([
    ["adress", "address"],
    ["listner", "listeners"],
    ["PATH", "path"],
    ["hots", "hosts"],
    ["xyz", undefined],
    ["x", undefined],
  ])("for %s: %s", (word, expected) => {
    expect(suggestion(word, ["address", "listeners", "path", "hosts"])).toBe(expected);
  });

  it("count swaps, replacements, insertions and deletions", () => {
    expect([alignment("ab", "ba"), alignment("abc", "adc"), alignment("ac", "abc"), alignment("", "ab")]).toEqual([
      1, 1, 1, 2,
    ]);
    fc.assert(fc.property(fc.string(), fc.string(), (a, b) => alignment(a, b) === alignment(b, a)));
  });
});

it("pointers name any path and are read back", () => {
  expect(pointerTo(["routes", 0, "a/b", "c~d"])).toBe("/routes/0/a~1b/c~0d");
  fc.assert(
    fc.property(fc.array(fc.string()), (path) => {
      expect(pointerSteps(pointerTo(path))).toEqual(path);
    }),
  );
});

it("canonical JSON does not depend on the order of keys", () => {
  expect(canonicalJson({ b: [{ d: 1, c: undefined }], a: null })).toBe('{"a":null,"b":[{"d":1}]}');
  const value = fc.dictionary(fc.string(), fc.oneof(fc.integer(), fc.string(), fc.array(fc.integer())));
  fc.assert(
    fc.property(
      value,
      (one) => canonicalJson(Object.fromEntries(Object.entries(one).toReversed())) === canonicalJson(one),
    ),
  );
});

describe("sources", () => {
  it("find the place of a pointer, over several files", () => {
    const sources = readSources([
      { file: "a.yaml", text: "listeners:\n  - name: web\nsettings:\n  drainMs: 1\n" },
      { file: "b.yaml", text: "listeners:\n  - name: other\n    address: x\nsettings: { fieldsMax: 50 }\n" },
    ]);
    const at = (pointer: string) => sources.locate({ pointer, code: "X", detail: "" }).at;
    expect(sources.data).toEqual({
      listeners: [{ name: "web" }, { name: "other", address: "x" }],
      settings: { drainMs: 1, fieldsMax: 50 },
    });
    expect(at("/listeners/0/name")).toBe("a.yaml:2:5");
    expect(at("/listeners/1/address")).toBe("b.yaml:3:5");
    // What is missing is shown where it should be.
    expect(at("/listeners/1/protocol")).toBe("b.yaml:2:5");
    expect(at("/settings/fieldsMax")).toBe("b.yaml:4:13");
    expect(sources.fileOf("/listeners/1/address")).toBe("b.yaml");
  });

  it("refuse a field that two files give", () => {
    const one = { file: "a.yaml", text: "settings: { drainMs: 1 }\n" };
    expect(readSources([one, { ...one, file: "b.yaml" }]).findings).toEqual([
      expect.objectContaining({ pointer: "/settings/drainMs", code: "PENSTOCK_CONFIG_DUPLICATE", at: "b.yaml:1:13" }),
    ]);
  });

  const expanded = (text: string, known: Readonly<Record<string, string>>) =>
    readSources([{ file: "a.yaml", text }], { resolve: (reference) => known[reference] });

  it.each([
    ["a: ${X}", "plain", "plain"],
    ["a: ${X}", "8080", 8080],
    ["a: ${X}", "true", true],
    ["a: '${X}'", "8080", "8080"],
    ["a: 127.0.0.1:${X}", "80", "127.0.0.1:80"],
    ["a: ${Y:-3}", "", 3],
    ["a: '${Y:-}'", "", ""],
    ['a: "<${X}>"', 'b"\nc: d', '<b"\nc: d>'],
    ["a: ${X}", "{ b: c }", "{ b: c }"],
    ["a: ${X}", "!!binary x", "!!binary x"],
    ["a: $${X}", "no", "${X}"],
    ["a: ${1X} $X", "no", "${1X} $X"],
    ["a: ${file:secret.txt}", "", "from a file"],
  ])("put values in the place of references: %s", (text, X, a) => {
    expect(expanded(text, { X, "file:secret.txt": "from a file" }).data).toEqual({ a });
  });

  it("name references that stand for nothing, with their place, and leave those of the network alone", () => {
    expect(expanded("b: 1\na: [x, '${NOPE}']\nc: ${file:nope}\n", {}).findings).toEqual([
      expect.objectContaining({
        at: "a.yaml:2:8",
        detail: expect.stringContaining("${NOPE} is not in the environment"),
      }),
      expect.objectContaining({ at: "a.yaml:3:4", detail: expect.stringContaining("can't be read") }),
    ]);
    expect(readSources([{ file: "body", text: "a: '${HOME}'" }]).data).toEqual({ a: "${HOME}" });
    expect(expanded("${X}: ${X}", { X: "v" }).data).toEqual({ "${X}": "v" });
  });

  it("refuse an alias bomb, and keep __proto__ a name like others", () => {
    const bomb = ["a: &a [x, x, x, x, x, x, x, x, x]"];
    for (let level = 0; level < 8; level++) {
      const [own, below] = [String.fromCharCode(98 + level), String.fromCharCode(97 + level)];
      bomb.push(`${own}: &${own} [${Array(9).fill(`*${below}`).join(",")}]`);
    }
    expect(readSources([{ file: "bomb.yaml", text: bomb.join("\n") }]).findings).toHaveLength(1);
    const files = [
      { file: "a.yaml", text: "__proto__: { polluted: true }\n" },
      { file: "b.yaml", text: "routes: []\n" },
    ];
    const { data } = readSources(files);
    expect(Object.keys(data as object)).toContain("__proto__");
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  it("take any text without a throw", () => {
    const piece = fc.constantFrom(
      "a",
      ":",
      " ",
      "\n",
      "- ",
      "{",
      "}",
      "[",
      "]",
      "&x",
      "*x",
      "|",
      ">",
      '"',
      "'",
      "\t",
      "#",
      "!!map",
      "? ",
      "---\n",
      "<<: ",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (parts) => {
        const sources = readSources([{ file: "f", text: parts.join("") }]);
        for (const finding of sources.findings) expect(finding.at).toMatch(/^f:\d+:\d+$/);
        sources.locate({ pointer: "/a/0/b", code: "X", detail: "" });
      }),
      { numRuns: 500 },
    );
  });
});

it("a diff names what was added, removed and changed", () => {
  const before = exampleDeclaration();
  const after = exampleDeclaration();
  after.upstreams.pop();
  after.listeners.push({ name: "third", address: "127.0.0.1:1", protocol: "http" });
  Object.assign(after, { settings: { drainMs: 5 } });
  Object.assign(after.routes[0] ?? {}, { upstream: "canary" });
  expect(diff(before, after)).toEqual([
    { op: "add", kind: "listeners", name: "third", fields: [] },
    { op: "remove", kind: "upstreams", name: "canary", fields: [] },
    {
      op: "change",
      kind: "routes",
      name: "acme/orders",
      fields: [{ pointer: "/upstream", before: "api", after: "canary" }],
    },
    { op: "change", kind: "settings", name: "", fields: [{ pointer: "/drainMs", after: 5 }] },
  ]);
  expect(diff(before, exampleDeclaration())).toEqual([]);
});
