/** Where requests go besides the one upstream: copies to a mirror, parts of a split, and clients that stay with their part. */
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gateway, startGateway } from "#test/support/gateway.ts";

interface Copied {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

const servers: Server[] = [];
const copies: Copied[] = [];
let gateway: Gateway;

async function serve(
  listener: (request: IncomingMessage, body: Buffer, end: (text: string) => void) => void,
  headers: Readonly<Record<string, string>> = {},
): Promise<string> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      listener(request, Buffer.concat(chunks), (text) => response.writeHead(200, headers).end(text));
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

beforeAll(async () => {
  const app = await serve((_request, body, end) => end(`app ${body.length}`));
  let made = 0;
  const fresh = await serve((_request, _body, end) => end(`made ${++made}`), { "cache-control": "max-age=3600" });
  const canary = await serve((_request, _body, end) => end("canary"));
  // Whatever it says, and however long: nobody reads it. What is asked of /silent is never answered.
  const shadow = await serve(({ method = "", url = "", headers }, body, end) => {
    copies.push({ method, url, headers, body });
    if (!url.startsWith("/mirror/silent")) end("x".repeat(300_000));
  });
  const mirror = { builtin: "mirror", config: { upstream: "shadow", bodyBytesMax: 262_144, timeoutMs: 300 } };
  const split = [
    { upstream: "app", weight: 3 },
    { upstream: "canary", weight: 1 },
  ];
  const route = (name: string, more: object): object => ({
    name,
    tenant: "ops",
    match: { path: { prefix: `/${name}` } },
    ...more,
  });
  gateway = await startGateway({
    config: {
      listeners: [{ name: "web", address: "127.0.0.1:0", protocol: "http" }],
      upstreams: [
        { name: "app", endpoints: [{ address: app }] },
        { name: "canary", endpoints: [{ address: canary }] },
        { name: "shadow", endpoints: [{ address: shadow }] },
        { name: "fresh", endpoints: [{ address: fresh }] },
      ],
      tenants: [{ name: "ops", hosts: ["*"] }],
      routes: [
        route("mirror", {
          filters: [{ builtin: "headers", config: { request: { set: { "x-seen": "1" } } } }, mirror],
          upstream: "app",
        }),
        route("chance", { split }),
        route("cached", { filters: [{ builtin: "cache", config: {} }], upstream: "fresh" }),
        route("by-key", { split, stickiness: { key: "header:x-user" } }),
        route("by-cookie", { split, stickiness: { cookie: "part", ttlSeconds: 60 } }),
      ],
      settings: { accessLog: "off" },
    },
  });
});
afterAll(async () => {
  await gateway.stop();
  for (const server of servers) {
    server.close();
    server.closeAllConnections();
  }
});

describe("mirror", () => {
  const copyOf = async (url: string): Promise<Copied> => {
    const find = (): Copied | undefined => copies.find((copy) => copy.url === url);
    await expect.poll(find, { timeout: 10_000 }).toBeDefined();
    return find() as Copied;
  };

  test("copies requests as they are at its place, bodies too, and its answers reach nobody", async () => {
    expect((await gateway.request("web", "/mirror/a?b=c", { headers: { host: "shop.example" } })).body).toBe("app 0");
    const got = await copyOf("/mirror/a?b=c");
    expect(got).toMatchObject({ method: "GET", headers: { host: "shop.example", "x-seen": "1" } });

    const body = Buffer.alloc(200_000, "0123456789");
    for (const headers of [{ "content-length": String(body.length) }, { "transfer-encoding": "chunked" }]) {
      const url = `/mirror/${Object.keys(headers)[0]}`;
      expect((await gateway.request("web", url, { method: "POST", headers, body })).body).toBe("app 200000");
      expect((await copyOf(url)).body.equals(body)).toBe(true);
    }
  });

  test("waits for nothing: a mirror that is silent, a body that is too long for it", async () => {
    // As many as may be under way, and more: none of them is delayed or refused.
    const answers = await Promise.all(
      Array.from({ length: 120 }, (_, i) => gateway.request("web", `/mirror/silent/${i}`)),
    );
    expect(new Set(answers.map(({ body }) => body))).toEqual(new Set(["app 0"]));
    const long = await gateway.request("web", "/mirror/long", { method: "POST", body: Buffer.alloc(300_000) });
    expect(long.body).toBe("app 300000");
    const count = async (name: string): Promise<number> => {
      const { body } = await gateway.admin("GET", "/metrics");
      const pattern = new RegExp(`^penstock_${name}{route="ops/mirror",worker="0"} (\\d+)$`, "m");
      return Number(pattern.exec(body)?.[1] ?? -1);
    };
    await expect.poll(() => count("mirror_open"), { timeout: 10_000 }).toBe(0);
    expect(await count("mirror_requests_total")).toBe(3);
    expect((await count("mirror_failures_total")) + (await count("mirror_skipped_total"))).toBe(121);
    expect(copies.some(({ url }) => url === "/mirror/long")).toBe(false);
  });
});

describe("cached responses", () => {
  const ask = async (path: string): Promise<string> => (await gateway.request("web", path)).body;
  const purge = async (what: object): Promise<unknown> => {
    const { status, body } = await gateway.admin("POST", "/v1/tenants/ops/routes/cached/purge", what);
    expect(status, body).toBe(200);
    return JSON.parse(body);
  };

  test("are forgotten on demand: one path, those below one, or all", async () => {
    const paths = ["/cached/a?x=1", "/cached/a?x=2", "/cached/b/c", "/cached/b/d"];
    const first = await Promise.all(paths.map(ask));
    const changed = async (): Promise<boolean[]> =>
      (await Promise.all(paths.map(ask))).map((body, i) => body !== first[i]);
    expect(await changed()).toEqual([false, false, false, false]);
    expect(await purge({ path: "/cached/a" })).toEqual({ purged: 2 });
    expect(await changed()).toEqual([true, true, false, false]);
    expect(await purge({ prefix: "/cached/b/", host: "elsewhere.example" })).toEqual({ purged: 0 });
    expect(await purge({ prefix: "/cached/b/", host: "localhost" })).toEqual({ purged: 2 });
    expect(await changed()).toEqual([true, true, true, true]);
    expect(await purge({})).toEqual({ purged: 4 });
    expect((await gateway.admin("POST", "/v1/tenants/ops/routes/none/purge", {})).status).toBe(404);
    expect((await gateway.admin("POST", "/v1/tenants/ops/routes/cached/purge", { pth: "/" })).status).toBe(422);
  });
});

describe("a split", () => {
  const ask = (path: string, headers: Record<string, string> = {}) => gateway.request("web", path, { headers });

  test("is by chance, as weights say", async () => {
    const answers = await Promise.all(Array.from({ length: 200 }, () => ask("/chance")));
    const canaries = answers.filter(({ body }) => body === "canary").length;
    // 50 are expected; these bounds are five standard deviations away.
    expect(canaries).toBeGreaterThan(19);
    expect(canaries).toBeLessThan(81);
  });

  test("keeps a user with a part by a key, and spreads users as weights say", async () => {
    const users = Array.from({ length: 100 }, (_, i) => `user-${i}`);
    const once = async (): Promise<string[]> =>
      Promise.all(users.map(async (user) => (await ask("/by-key", { "x-user": user })).body));
    const first = await once();
    expect(await once()).toEqual(first);
    const canaries = first.filter((body) => body === "canary").length;
    expect(canaries).toBeGreaterThan(5);
    expect(canaries).toBeLessThan(50);
  });

  test("keeps a client with a part by a cookie", async () => {
    const seen = new Set<string>();
    for (let i = 0; i < 60 && seen.size < 2; i++) {
      const first = await ask("/by-cookie");
      seen.add(first.body);
      const [cookie = ""] = first.headers["set-cookie"] ?? [];
      expect(cookie).toMatch(/^part=[0-9a-f]{8}; Path=\/; HttpOnly; SameSite=Lax; Max-Age=60$/);
      const headers = { cookie: `other=1; ${cookie.slice(0, cookie.indexOf(";"))}` };
      for (let again = 0; again < 5; again++) {
        const next = await ask("/by-cookie", headers);
        expect([next.body, next.headers["set-cookie"]]).toEqual([first.body, undefined]);
      }
    }
    expect(seen.size).toBe(2);
    // A forged one is a client like any new one.
    expect((await ask("/by-cookie", { cookie: "part=zzzzzzzz" })).headers["set-cookie"]).toHaveLength(1);
  });
});
