/** Who is let in to the admin API, and what is done once when it is asked for twice. */
import { chmodSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { dirname } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FailedAttempts } from "#control/admin/failed-attempts.ts";
import { FakeSupervisor } from "./fake-supervisor.ts";

let gateway: FakeSupervisor;
let admin: string;

beforeAll(async () => {
  gateway = new FakeSupervisor();
  await gateway.start();
  admin = await newToken("admin");
});
afterAll(() => gateway.dispose());

async function newToken(scope: string): Promise<string> {
  const { json } = await gateway.call("POST", "/v1/tokens", { body: { name: "test", scopes: [scope] } });
  return (json as { token: string }).token;
}

const WRONG = `pst_${"x".repeat(43)}`;

describe("a wrong token", () => {
  it("is refused with 401, and after too many with 429, while good ones pass", async () => {
    const statuses: number[] = [];
    for (let i = 0; i < 14; i++) statuses.push((await gateway.call("GET", "/v1/listeners", {}, WRONG)).status);
    expect(statuses.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => 401));
    expect(statuses.slice(-3)).toEqual([429, 429, 429]);
    const { headers, json } = await gateway.call("GET", "/v1/listeners", {}, WRONG);
    expect(Number(headers["retry-after"])).toBeGreaterThan(0);
    expect(json).toMatchObject({ code: "PENSTOCK_CONTROL_TOO_MANY", status: 429 });
    expect((await gateway.call("GET", "/v1/listeners", {}, admin)).status).toBe(200);
    // To say nothing at all is no attempt.
    expect((await gateway.call("GET", "/v1/listeners", {}, "")).status).toBe(401);
  });

  it("is forgiven with time, address by address, in bounded memory", () => {
    let now = 0;
    const attempts = new FailedAttempts(() => now);
    for (let i = 0; i < 10; i++) expect(attempts.failed("a")).toBe(0);
    expect(attempts.failed("a")).toBe(6);
    expect(attempts.failed("b")).toBe(0);
    now += 5999;
    expect(attempts.failed("a")).toBe(1);
    now += 1;
    expect(attempts.failed("a")).toBe(0);
    expect(attempts.failed("a")).toBe(6);
    for (let i = 0; i < 5000; i++) attempts.failed(`c${i}`);
    expect(attempts.failed("a")).toBe(0);
  });
});

describe("over TCP", () => {
  it.each([
    ["127.0.0.1:9900", 200],
    ["localhost", 200],
    ["[::1]:9900", 200],
    ["gateway.localhost:80", 200],
    ["rebound.example", 421],
    ["127.0.0.1.rebound.example:9900", 421],
    ["[::1", 421],
  ])("Host %s is answered with %i", async (host, status) => {
    expect((await gateway.call("GET", "/v1/listeners", { headers: { host } }, admin)).status).toBe(status);
  });

  it.each([
    ["http://127.0.0.1:9900", 200],
    ["https://127.0.0.1:9900", 200],
    ["http://127.0.0.1:9901", 403],
    ["https://evil.example", 403],
    ["null", 403],
  ])("a page of %s is answered with %i", async (origin, status) => {
    const headers = { host: "127.0.0.1:9900", origin };
    expect((await gateway.call("GET", "/v1/listeners", { headers }, admin)).status).toBe(status);
  });
});

describe("over the Unix socket", () => {
  /** As another user, whom the socket's mode lets in for once. */
  function asNobody(...headers: string[]): number {
    const curl = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket", gateway.socketPath];
    const args = [...curl, ...headers.flatMap((one) => ["-H", one]), "http://penstock/v1/listeners"];
    const { stdout } = spawnSync("setpriv", ["--reuid=65534", "--regid=65534", "--clear-groups", ...args]);
    return Number(stdout.toString());
  }

  it.skipIf(process.getuid?.() !== 0)("the owner is the administrator, and another user needs a token", async () => {
    chmodSync(dirname(gateway.socketPath), 0o711);
    chmodSync(gateway.socketPath, 0o666);
    expect((await gateway.call("GET", "/v1/listeners")).status).toBe(200);
    expect(asNobody()).toBe(401);
    expect(asNobody(`authorization: Bearer ${admin}`)).toBe(200);
  });
});

describe("an Idempotency-Key", () => {
  const body = { name: "once", scopes: ["read"] };
  const ask = (key: string, what: unknown = body, token?: string) =>
    gateway.call("POST", "/v1/tokens", { body: what, headers: { "idempotency-key": key } }, token);
  const tokens = async (): Promise<number> =>
    ((await gateway.call("GET", "/v1/tokens")).json as { items: unknown[] }).items.length;

  it("has the same answer twice, and the thing done once", async () => {
    const before = await tokens();
    const first = await ask("key-1");
    expect([first.status, first.headers["idempotency-replayed"]]).toEqual([201, undefined]);
    const second = await ask("key-1");
    expect([second.status, second.headers["idempotency-replayed"]]).toEqual([201, "true"]);
    expect(second.json).toEqual(first.json);
    expect(second.headers.location).toBe(first.headers.location);
    expect(await tokens()).toBe(before + 1);
  });

  it("survives the process", async () => {
    const first = await ask("key-2");
    await gateway.kill();
    await gateway.start();
    expect((await ask("key-2")).json).toEqual(first.json);
  });

  it("belongs to its caller and its request", async () => {
    await ask("key-3");
    const other = await ask("key-3", { ...body, name: "twice" });
    expect(other.json).toMatchObject({ status: 422, code: "PENSTOCK_CONTROL_KEY_REUSED" });
    expect((await ask("key-3", { ...body, name: "twice" }, admin)).status).toBe(201);
    expect((await ask("a key")).status).toBe(400);
  });

  it("may be used again when nothing was done", async () => {
    expect((await ask("key-4", { name: "once", scopes: ["all"] })).status).toBe(422);
    expect((await ask("key-4")).status).toBe(201);
  });

  it("is busy while the first is worked on", async () => {
    // Two revisions, so that going back changes something.
    await gateway.put("/v1/tenants/acme", { hosts: ["acme.example"] });
    await gateway.put("/v1/tenants/acme", { hosts: ["shop.example"] });
    let release = (): void => {};
    const { applyAnswer } = gateway;
    gateway.applyAnswer = async (request) => {
      await new Promise<void>((resolve) => (release = resolve));
      return applyAnswer(request);
    };
    const rollback = () =>
      gateway.call("POST", "/v1/revisions/1/rollback", { headers: { "idempotency-key": "key-5" } });
    const first = rollback();
    while ((await rollback()).status !== 409) await new Promise((resolve) => setTimeout(resolve, 5));
    expect((await rollback()).json).toMatchObject({ code: "PENSTOCK_CONTROL_IN_PROGRESS" });
    release();
    gateway.applyAnswer = applyAnswer;
    expect((await first).status).toBe(200);
    expect((await rollback()).headers["idempotency-replayed"]).toBe("true");
  });

  it("whose request was cut off says so", async () => {
    const { applyAnswer } = gateway;
    const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
    gateway.applyAnswer = () => {
      ask();
      return new Promise(() => {});
    };
    const rollback = () =>
      gateway.call("POST", "/v1/revisions/2/rollback", { headers: { "idempotency-key": "key-6" } });
    const cut = rollback().catch((error: unknown) => error);
    await asked;
    await gateway.kill();
    gateway.applyAnswer = applyAnswer;
    await gateway.start();
    expect(await cut).toBeInstanceOf(Error);
    expect((await rollback()).json).toMatchObject({ status: 409, code: "PENSTOCK_CONTROL_INTERRUPTED" });
  });
});
