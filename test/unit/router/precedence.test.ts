import { describe, expect, it } from "vitest";
import { compileRouter } from "#router/router.ts";
import { hashText } from "#router/tables.ts";
import { route, TestHead, type RequestText, type RouteText } from "./request.ts";

interface Case {
  readonly what: string;
  readonly routes: readonly RouteText[];
  /** Request and the index of the route it must get. */
  readonly expect: readonly (readonly [RequestText, number])[];
}

const CASES: readonly Case[] = [
  { what: "no routes", routes: [], expect: [[{ host: "a.test" }, -1]] },
  {
    what: "an exact host goes before a wildcard, a longer wildcard before a shorter, any host last",
    routes: [{}, { hosts: ["*.test"] }, { hosts: ["*.b.test"] }, { hosts: ["a.b.test"] }],
    expect: [
      [{ host: "a.b.test" }, 3],
      [{ host: "x.b.test" }, 2],
      [{ host: "y.x.b.test" }, 2],
      [{ host: "b.test" }, 1],
      [{ host: "a.test" }, 1],
      [{ host: "test" }, 0],
      [{ host: "" }, 0],
      [{ host: "a.b.test.other" }, 0],
    ],
  },
  {
    what: "a wildcard stands for at least one label and ends at a dot",
    routes: [{ hosts: ["*.example.com"] }],
    expect: [
      [{ host: "a.example.com" }, 0],
      [{ host: "a.b.c.d.example.com" }, 0],
      [{ host: "example.com" }, -1],
      [{ host: ".example.com" }, -1],
      [{ host: "badexample.com" }, -1],
      [{ host: "a.example.com." }, -1],
      [{ host: "" }, -1],
    ],
  },
  {
    what: "one route under several hosts",
    routes: [{ hosts: ["a.test", "*.b.test", "[::1]"] }],
    expect: [
      [{ host: "a.test" }, 0],
      [{ host: "x.b.test" }, 0],
      [{ host: "[::1]" }, 0],
      [{ host: "b.test" }, -1],
    ],
  },
  {
    what: "a prefix ends at a segment",
    routes: [{ prefix: "/orders" }],
    expect: [
      [{ path: "/orders" }, 0],
      [{ path: "/orders/" }, 0],
      [{ path: "/orders/7" }, 0],
      [{ path: "/orders//7" }, 0],
      [{ path: "/ordersx" }, -1],
      [{ path: "/order" }, -1],
      [{ path: "/" }, -1],
      [{ path: "/Orders" }, -1],
      [{ path: "*" }, -1],
    ],
  },
  {
    what: "a prefix with a trailing slash matches what it matches without",
    routes: [{ prefix: "/orders/" }],
    expect: [
      [{ path: "/orders" }, 0],
      [{ path: "/orders/" }, 0],
      [{ path: "/orders/7" }, 0],
      [{ path: "/ordersx" }, -1],
    ],
  },
  {
    what: "an empty segment is a segment",
    routes: [{ prefix: "/a//" }, { prefix: "/a//b" }],
    expect: [
      [{ path: "/a/" }, 0],
      [{ path: "/a" }, -1],
      [{ path: "/a//b" }, 1],
      [{ path: "/a//c" }, 0],
      [{ path: "/a/b" }, -1],
    ],
  },
  {
    what: "the root prefix takes every target",
    routes: [{ prefix: "/" }],
    expect: [
      [{ path: "/" }, 0],
      [{ path: "/a/b" }, 0],
      [{ path: "*" }, 0],
      [{ path: "" }, 0],
    ],
  },
  {
    what: "an exact path takes nothing else, and goes before every prefix",
    routes: [{ prefix: "/a/b" }, { exact: "/a" }, { exact: "/a/b" }, { prefix: "/a" }, { exact: "*" }],
    expect: [
      [{ path: "/a" }, 1],
      [{ path: "/a/" }, 3],
      [{ path: "/a/b" }, 2],
      [{ path: "/a/b/" }, 0],
      [{ path: "/a/c" }, 3],
      [{ path: "*" }, 4],
      [{ path: "/" }, -1],
    ],
  },
  {
    what: "the longer prefix goes first, counted in characters along one path",
    routes: [{ prefix: "/" }, { prefix: "/a" }, { prefix: "/a/b/c" }, { prefix: "/a/b" }],
    expect: [
      [{ path: "/a/b/c/d" }, 2],
      [{ path: "/a/b/cc" }, 3],
      [{ path: "/a/bb" }, 1],
      [{ path: "/aa" }, 0],
    ],
  },
  {
    what: "prefixes of more than 31 segments",
    routes: [{ prefix: "/a".repeat(40) }, { prefix: "/a".repeat(33) }, { prefix: "/a" }],
    expect: [
      [{ path: "/a".repeat(41) }, 0],
      [{ path: "/a".repeat(40) }, 0],
      [{ path: "/a".repeat(39) }, 1],
      [{ path: "/a".repeat(33) }, 1],
      [{ path: "/a".repeat(32) }, 2],
    ],
  },
  {
    what: "a method goes before none, and is compared whole and by case",
    routes: [{}, { methods: ["GET", "POST"] }, { methods: ["PURGE"] }],
    expect: [
      [{ method: "GET" }, 1],
      [{ method: "POST" }, 1],
      [{ method: "PURGE" }, 2],
      [{ method: "HEAD" }, 0],
      [{ method: "get" }, 0],
      [{ method: "GETS" }, 0],
      [{ method: "GE" }, 0],
    ],
  },
  {
    what: "a method goes before headers, more headers before fewer",
    routes: [
      { headers: { "x-a": "1", "x-b": "2" } },
      { headers: { "x-a": "1" } },
      { methods: ["GET"] },
      { methods: ["GET"], headers: { "x-a": "1" } },
    ],
    expect: [
      [{ method: "GET", headers: [["x-a", "1"]] }, 3],
      [{ method: "GET" }, 2],
      [
        {
          method: "PUT",
          headers: [
            ["x-b", "2"],
            ["x-a", "1"],
          ],
        },
        0,
      ],
      [{ method: "PUT", headers: [["x-a", "1"]] }, 1],
      [{ method: "PUT", headers: [["x-b", "2"]] }, -1],
    ],
  },
  {
    what: "a header value is met byte by byte; repeated fields count as one, joined by a comma",
    routes: [{ headers: { "x-a": "1" } }, { headers: { "x-a": "1,2" } }, { headers: { "x-a": "" } }],
    expect: [
      [{ headers: [["x-a", "1"]] }, 0],
      [{ headers: [["x-a", "11"]] }, -1],
      [{ headers: [["x-a", "1,2"]] }, 1],
      [
        {
          headers: [
            ["x-a", "1"],
            ["x-b", "0"],
            ["x-a", "2"],
          ],
        },
        1,
      ],
      [
        {
          headers: [
            ["x-a", "1"],
            ["x-a", "1"],
          ],
        },
        -1,
      ],
      [{ headers: [["x-a", ""]] }, 2],
      [{ headers: [] }, -1],
    ],
  },
  {
    what: "values of neighbouring headers do not run into each other",
    routes: [{ headers: { "x-a": "1", "x-b": "23" } }],
    expect: [
      [
        {
          headers: [
            ["x-a", "12"],
            ["x-b", "3"],
          ],
        },
        -1,
      ],
      [
        {
          headers: [
            ["x-a", "1"],
            ["x-b", "23"],
          ],
        },
        0,
      ],
    ],
  },
  {
    what: "the older route wins a tie, also between different headers; then the lower index",
    routes: [
      { headers: { "x-a": "1" }, order: 5 },
      { headers: { "x-b": "1" }, order: 3 },
      { headers: { "x-b": "1" }, order: 4 },
      { order: 9 },
      { order: 9 },
    ],
    expect: [
      [
        {
          headers: [
            ["x-a", "1"],
            ["x-b", "1"],
          ],
        },
        1,
      ],
      [{ headers: [["x-a", "1"]] }, 0],
      [{}, 3],
    ],
  },
  {
    what: "a host whose routes all refuse leaves the request to less specific hosts",
    routes: [
      { hosts: ["a.b.test"], prefix: "/x", methods: ["PUT"] },
      { hosts: ["*.b.test"], prefix: "/y" },
      { hosts: ["*.test"], prefix: "/x" },
      { exact: "/z" },
    ],
    expect: [
      [{ host: "a.b.test", path: "/x", method: "PUT" }, 0],
      [{ host: "a.b.test", path: "/x", method: "GET" }, 2],
      [{ host: "a.b.test", path: "/y" }, 1],
      [{ host: "a.b.test", path: "/z" }, 3],
      [{ host: "a.b.test", path: "/w" }, -1],
    ],
  },
  {
    what: "a path whose routes all refuse leaves the request to shorter ones",
    routes: [{ exact: "/a/b", methods: ["PUT"] }, { prefix: "/a/b", headers: { "x-a": "1" } }, { prefix: "/a" }],
    expect: [
      [{ path: "/a/b", method: "PUT" }, 0],
      [{ path: "/a/b", headers: [["x-a", "1"]] }, 1],
      [{ path: "/a/b" }, 2],
    ],
  },
  {
    what: "a more specific host goes before a more specific path",
    routes: [{ hosts: ["*.test"], exact: "/a" }, { hosts: ["a.test"] }],
    expect: [[{ host: "a.test", path: "/a" }, 1]],
  },
  {
    what: "UTF-8 stands for the bytes a client sends",
    routes: [{ headers: { "x-a": "é" } }, { headers: { "x-a": "\u0161" } }, { headers: { "x-a": "a" } }],
    expect: [
      [{ headers: [["x-a", "é"]] }, 0],
      [{ headers: [["x-a", "\u0161"]] }, 1],
      [{ headers: [["x-a", "a"]] }, 2],
    ],
  },
];

/** Paths that no request asks for: with them, a host's paths are hashed instead of compared one by one. */
const padding = (hosts: readonly string[]) =>
  [1, 2, 3, 4, 5].map((n) => route({ hosts, exact: `/padding-${n}`, order: 100 }));

const LAYOUTS = CASES.flatMap(({ what, routes, expect: requests }) => {
  const specs = routes.map(route);
  const hosts = new Set(specs.flatMap(({ match }) => (match.hosts.length === 0 ? [""] : match.hosts)));
  const padded = [...specs, ...[...hosts].flatMap((host) => padding(host === "" ? [] : [host]))];
  return [
    { what, specs, requests },
    { what: `${what} (many paths)`, specs: padded, requests },
  ];
});

describe.each(LAYOUTS)("$what", ({ specs, requests }) => {
  const router = compileRouter(specs, 0);
  it.each(requests.map(([request, index]) => ({ request, index })))("$request → $index", ({ request, index }) => {
    expect(router.match(new TestHead(request))).toBe(index);
  });
});

it("a listener has its own routes only", () => {
  const routes = [route({ listeners: [1] }), route({ listeners: [0, 2] })];
  const found = [0, 1, 2, 3].map((listener) => compileRouter(routes, listener).match(new TestHead({})));
  expect(found).toEqual([1, 0, 1, -1]);
});

it("one name with two values is met by no request; twice the same value is one condition", () => {
  const twice = (first: string, second: string) => {
    const { match, ...rest } = route({});
    const headers = [first, second].map((value) => ({ name: "x-a", value }));
    return { ...rest, match: { ...match, headers } };
  };
  const request = new TestHead({ headers: [["x-a", "1"]] });
  expect(compileRouter([twice("1", "2")], 0).match(request)).toBe(-1);
  expect(compileRouter([twice("1", "1")], 0).match(request)).toBe(0);
});

it("a header name that is no token refuses the snapshot", () => {
  expect(() => compileRouter([route({ headers: { "x a": "1" } })], 0)).toThrow(/PENSTOCK_HTTP_NAME|header name/i);
});

/** Two header values with the same hash under the seed 0, found by trying. */
function collidingValues(): [string, string] {
  const seen = new Map<number, string>();
  for (let i = 0; ; i++) {
    const value = i.toString(36);
    const hash = hashText(0, `\0${value}`);
    const other = seen.get(hash);
    if (other !== undefined) return [other, value];
    seen.set(hash, value);
  }
}

it("header values are told apart by their bytes, not only by their hash", () => {
  const [one, two] = collidingValues();
  const request = (value: string) => new TestHead({ headers: [["x-a", value]] });
  const both = compileRouter(
    [one, two].map((value) => route({ headers: { "x-a": value } })),
    0,
    0,
  );
  expect([one, two].map((value) => both.match(request(value)))).toEqual([0, 1]);
  const first = compileRouter([route({ headers: { "x-a": one } })], 0, 0);
  expect(first.match(request(two))).toBe(-1);
});
