/** A canary: who gets it, that it is always the same ones, that each keeps its own of an exchange, and that it goes back by itself. */
import { describe, expect, it } from "vitest";
import { CONTINUE, REPLY } from "#pipeline/filter.ts";
import { TestExchange, TestServices } from "#test/support/wasm.ts";
import { CanaryFilter } from "#wasm/create-filter.ts";
import { BREAKER_FAULTS } from "#wasm/filter/breaker.ts";
import { canaryChoice } from "#worker/canary-choice.ts";
import { fromWasm, hook } from "./plugins.ts";

const replies = (status: number) =>
  hook(
    `(call $r (i32.const ${status}) (i32.const 0) (i32.const 0)) (i32.const 1)`,
    `(import "penstock" "reply" (func $r (param i32 i32 i32)))`,
  );

const request = (client: string, headers = "") => {
  const exchange = new TestExchange(`GET / HTTP/1.1\r\nhost: a\r\n${headers}\r\n`);
  exchange.clientAddress = client;
  return exchange;
};
const clients = Array.from({ length: 2000 }, (_, index) => `10.0.${index >> 8}.${index & 255}`);

describe("the choice", () => {
  const share = (percent: number, key = "client-ip") => {
    const isChosen = canaryChoice({ plugin: 0, percent, key });
    return clients.filter((client) => isChosen(request(client))).length / clients.length;
  };

  it("takes the part it was told, also of addresses that are alike", () => {
    expect([share(0), share(100)]).toEqual([0, 1]);
    for (const percent of [1, 10, 50, 90]) expect(Math.abs(share(percent) - percent / 100)).toBeLessThan(0.03);
  });

  it("sticks to the client, the header or the cookie", () => {
    const isChosen = canaryChoice({ plugin: 0, percent: 50, key: "header:x-user" });
    const cookie = canaryChoice({ plugin: 0, percent: 50, key: "cookie:user" });
    const seen = new Set<boolean>();
    for (let user = 0; user < 50; user++) {
      const ofUser = clients.slice(0, 20).map((client) => isChosen(request(client, `x-user: u${user}\r\n`)));
      expect(new Set(ofUser).size).toBe(1);
      const ofCookie = clients.slice(0, 20).map((client) => cookie(request(client, `cookie: a=b; user=u${user}\r\n`)));
      expect(new Set(ofCookie).size).toBe(1);
      seen.add(ofUser[0] === true);
    }
    expect(seen.size).toBe(2);
  });

  it("only grows with the percentage: who has the new version keeps it", () => {
    const few = canaryChoice({ plugin: 0, percent: 10, key: "client-ip" });
    const many = canaryChoice({ plugin: 0, percent: 30, key: "client-ip" });
    for (const client of clients) if (few(request(client))) expect(many(request(client))).toBe(true);
  });
});

describe("the filter", () => {
  it("sends each exchange to one version, and goes back for good when the canary keeps faulting", async () => {
    const services = new TestServices();
    const stable = (await fromWasm(replies(201), {}, services)).filter;
    const canary = (await fromWasm(hook(`(unreachable)`), {}, services)).filter;
    const filter = new CanaryFilter(stable, canary, ({ clientAddress }) => clientAddress.endsWith("1"));
    const statuses: (number | undefined)[] = [];
    const ask = (client: string) => {
      const exchange = request(client);
      expect(filter.requestHead(exchange, 0)).toBe(REPLY);
      filter.end(exchange, 0);
      statuses.push(exchange.reply?.status);
    };
    for (let fault = 0; fault < BREAKER_FAULTS; fault++) {
      ask("10.0.0.1");
      ask("10.0.0.2");
    }
    expect(statuses.filter((status) => status === 503)).toHaveLength(BREAKER_FAULTS);
    expect([filter.returned, filter.counters()]).toEqual([true, { plugin_canary_returned: 1 }]);
    services.clockMs += 3_600_000;
    for (let count = 0; count < 10; count++) ask("10.0.0.1");
    expect(statuses.slice(-10)).toEqual(Array(10).fill(201));
    expect(canary.stats.calls).toBe(BREAKER_FAULTS);
    expect(services.logs.filter((line) => line.includes("as a canary"))).toHaveLength(1);
  });

  it("asks the chosen version on the way back too", async () => {
    const both = (name: string) =>
      hook(
        `(i32.const 0)`,
        `(import "penstock" "set_status" (func $s (param i32) (result i32)))
         (func (export "on_response") (result i32) (drop (call $s (i32.const ${name}))) (i32.const 0))`,
      );
    const stable = (await fromWasm(both("201"))).filter;
    const canary = (await fromWasm(both("202"))).filter;
    const filter = new CanaryFilter(stable, canary, ({ clientAddress }) => clientAddress === "10.0.0.1");
    for (const [client, status] of [
      ["10.0.0.1", 202],
      ["10.0.0.2", 201],
    ] as const) {
      const exchange = request(client).respondWith();
      expect([filter.requestHead(exchange, 1), filter.responseHead(exchange, 1)]).toEqual([CONTINUE, CONTINUE]);
      expect(exchange.response.status).toBe(status);
    }
  });
});
