/** `/readyz` of the whole gateway, as an orchestrator asks it: while no worker serves, while it drains, while control is away. */
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { processStartTime } from "#sys/process.ts";
import { childrenOf, startGateway, type Gateway } from "#test/support/gateway.ts";

const held: ServerResponse[] = [];
const upstream = createServer((_request, response) => held.push(response));
let gateway: Gateway | null = null;

beforeAll(async () => {
  await once(upstream.listen(0, "127.0.0.1"), "listening");
});
afterAll(() => {
  upstream.closeAllConnections();
  upstream.close();
});
afterEach(async () => {
  for (const response of held.splice(0)) response.destroy();
  await gateway?.kill();
  gateway = null;
});

async function start(workers: number): Promise<Gateway> {
  const { port } = upstream.address() as AddressInfo;
  gateway = await startGateway({
    workers,
    config: {
      listeners: [{ name: "web", address: "127.0.0.1:0", protocol: "http" }],
      upstreams: [{ name: "up", endpoints: [{ address: `127.0.0.1:${port}` }] }],
      tenants: [{ name: "t", hosts: ["*"] }],
      routes: [{ name: "all", tenant: "t", upstream: "up" }],
      settings: { drainMs: 30_000 },
    },
  });
  return gateway;
}

/** The status, or why there was no answer. */
async function readiness(running: Gateway): Promise<number | string> {
  try {
    return (await running.admin("GET", "/readyz")).status;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

function controlOf(running: Gateway, workers: readonly number[]): number {
  const pid = childrenOf(running.pid).find((one) => !workers.includes(one));
  return pid ?? expect.fail("no control process");
}

test("503 as long as no worker serves, with the reason; 200 as soon as one does", async () => {
  const running = await start(1);
  const control = controlOf(running, await running.workers());
  expect(await readiness(running)).toBe(200);
  // Each death is waited for a little longer than the one before, until there is time to be asked meanwhile.
  await expect
    .poll(
      async () => {
        for (const pid of childrenOf(running.pid)) if (pid !== control) process.kill(pid, "SIGKILL");
        const { status, body } = await running.admin("GET", "/readyz");
        return `${status} ${body}`;
      },
      { timeout: 30_000, interval: 20 },
    )
    .toMatch(/^503 .*none of 1 workers is ready/);
  await expect.poll(() => readiness(running), { timeout: 30_000 }).toBe(200);
});

test("200 while one of two workers is gone", async () => {
  const running = await start(2);
  const [victim = 0] = await running.workers();
  process.kill(victim, "SIGKILL");
  const seen = new Set<number | string>();
  do seen.add(await readiness(running));
  while ((await running.workers()).some((pid) => pid === 0 || pid === victim));
  expect([...seen]).toEqual([200]);
});

test("never 200 once it drains, and refused without a wait, though requests are still under way", async () => {
  const running = await start(2);
  const answer = running.request("web", "/");
  await expect.poll(() => held.length).toBe(1);
  process.kill(running.pid, "SIGTERM");
  await expect.poll(() => readiness(running), { timeout: 20_000 }).toMatch(/^(ECONNREFUSED|ENOENT)$/);
  expect(processStartTime(running.pid)).not.toBeNull();
  held.shift()?.end("whole");
  expect(await answer).toMatchObject({ status: 200, body: "whole" });
  expect(await running.stop()).toBe(0);
});

test("whoever asks while control is away is answered by the next one", async () => {
  const running = await start(1);
  const control = controlOf(running, await running.workers());
  process.kill(control, "SIGKILL");
  await expect.poll(() => processStartTime(control)).toBeNull();
  expect(await Promise.all(Array.from({ length: 5 }, () => readiness(running)))).toEqual(Array(5).fill(200));
});
