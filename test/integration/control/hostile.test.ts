/** The admin API against requests that nobody sane sends: it refuses them, in its own form, and goes on. */
import { connect } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { FakeSupervisor } from "./fake-supervisor.ts";

let gateway: FakeSupervisor;
let operations: { method: string; path: string; statuses: string[]; types: string[] }[];

beforeAll(async () => {
  gateway = new FakeSupervisor();
  await gateway.start();
  await gateway.put("/v1/tenants/acme", { hosts: ["*"] });
  await gateway.put("/v1/kernel/maps/blocklist", {
    type: "lpm-trie",
    key: "ip-prefix",
    value: "expiry",
    maxEntries: 9,
  });
  const { paths } = (await gateway.call("GET", "/openapi.json")).json as {
    paths: Record<string, Record<string, { responses: object; requestBody?: { content: object } }>>;
  };
  // A stream of events has no end to wait for; `events.test.ts` follows it.
  Reflect.deleteProperty(paths, "/v1/events");
  operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { responses, requestBody }]) => ({
      types: Object.keys(requestBody?.content ?? {}),
      method: method.toUpperCase(),
      path,
      statuses: Object.keys(responses),
    })),
  );
});
afterAll(() => gateway.dispose());

const name = fc.oneof(
  fc.constantFrom(
    "acme",
    "blocklist",
    "web",
    "1",
    "10.0.0.0/8",
    "..",
    "%",
    "*",
    "__proto__",
    "constructor",
    "a".repeat(300),
    "ü",
    "\0",
    "",
  ),
  fc.string({ unit: "grapheme", maxLength: 8 }),
);
const body = fc.oneof(
  { weight: 2, arbitrary: fc.json() },
  { weight: 1, arbitrary: fc.string() },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      "{}",
      '{"hosts":[]}',
      '{"endpoints":[{"address":"127.0.0.1:1"}]}',
      '{"ttlSeconds":5}',
      '{"name":"x","scopes":["read"]}',
      "null",
      "[]",
      '{"__proto__":{"name":"x"}}',
      '{"name":{"name":{}}}',
      '{"hosts":null,"allow":[]}',
      '{"listeners":{},"routes":[[]],"kernel":{"maps":[null]},"plugins":[{"tenant":{}}]}',
      '{"listeners":[{"name":"x","address":{},"protocol":[]}],"tenants":[{"hosts":[1]}]}',
      '{"upstreams":[{"endpoints":[null,{"address":5}]}],"settings":[]}',
      '{"name":"x","scopes":["admin","read",7]}',
    ),
  },
);
const type = fc.constantFrom(
  "application/json",
  "application/merge-patch+json",
  "application/yaml",
  "application/wasm",
  "text/plain",
);
const condition = fc.constantFrom<Record<string, string>>({ "if-match": "*" }, { "if-none-match": "*" }, {});
const query = fc.constantFrom(
  "",
  "?dryRun=true",
  "?dryRun=maybe",
  "?limit=1&cursor=%00",
  "?limit=-1",
  "?cursor=zz",
  "?url=http://a/&header=x",
  "?=&&=",
  "?%",
);

it("answers nothing but what its document says, and no 5xx", async () => {
  const seen = new Set<number>();
  await fc.assert(
    fc.asyncProperty(
      fc.nat(),
      fc.array(name, { minLength: 3, maxLength: 3 }),
      body,
      type,
      query,
      condition,
      async (pick, names, raw, contentType, search, conditions) => {
        const operation = operations[pick % operations.length];
        if (operation === undefined) return;
        const { method, path, statuses, types } = operation;
        const filled = [...names];
        const target = path.replaceAll(/\{\w+\}/g, () => encodeURIComponent(filled.shift() ?? "x")) + search;
        const reading = method === "GET";
        const headers = {
          ...conditions,
          ...(reading ? {} : { "content-type": pick % 4 === 0 ? contentType : (types[0] ?? contentType) }),
        };
        const reply = await gateway.call(method, target, reading ? { headers } : { headers, raw });
        seen.add(reply.status);
        const said = `${method} ${target} ${raw} → ${reply.status} ${reply.text}`;
        expect(reply.status, said).toBeLessThan(500);
        // A name that is empty or dots is another path, and h3 answers for a path that is none: 404, 405 or 400.
        const sameRoute = names.every((one) => !["", ".", ".."].includes(one));
        if (sameRoute) expect(statuses, said).toContain(String(reply.status));
        if (reply.status >= 400) expect(reply.headers["content-type"], said).toBe("application/problem+json");
      },
    ),
    { numRuns: 1500 },
  );
  // It got past the doors, not only to them.
  expect([...seen]).toEqual(expect.arrayContaining([200, 400, 404, 412, 415, 422]));
  expect((await gateway.call("GET", "/livez")).status).toBe(200);
}, 120_000);

it.each(["GARBAGE\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", "\x16\x03\x01\x02\x00"])(
  "refuses bytes that are no request: %j",
  async (bytes) => {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const socket = connect(gateway.socketPath, () => socket.write(bytes));
    let text = "";
    socket.on("data", (chunk) => (text += chunk.toString()));
    socket.on("close", () => resolve(text));
    socket.on("error", reject);
    expect(await promise).toMatch(
      /^HTTP\/1\.1 400 Bad Request\r\ncontent-type: application\/problem\+json\r\n[^]*PENSTOCK_CONTROL_BAD_REQUEST/,
    );
  },
);

it("describes itself by a document whose references resolve", async () => {
  const document = (await gateway.call("GET", "/openapi.json")).json as Record<string, unknown>;
  const text = JSON.stringify(document);
  for (const [, pointer = ""] of text.matchAll(/"\$ref":"#([^"]+)"/g)) {
    let node: unknown = document;
    for (const step of pointer.split("/").slice(1)) node = (node as Record<string, unknown>)[step];
    expect(node, pointer).toBeTypeOf("object");
  }
  for (const { path } of operations) {
    const item = (document["paths"] as Record<string, Record<string, { parameters?: { name: string; in: string }[] }>>)[
      path
    ];
    const needed = [...path.matchAll(/\{(\w+)\}/g)].map(([, one]) => one);
    for (const operation of Object.values(item ?? {})) {
      const given = (operation.parameters ?? []).filter((one) => one.in === "path").map((one) => one.name);
      expect(given, path).toEqual(needed);
    }
  }
});
