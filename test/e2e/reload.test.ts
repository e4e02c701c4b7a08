/** `run -f FILE` read again: by SIGHUP, and by --watch when the file changes. */
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { stringify } from "yaml";
import { type Gateway, startGateway } from "#test/support/gateway.ts";

let gateway: Gateway | null = null;
afterEach(async () => {
  await gateway?.stop();
  gateway = null;
});

function config(answer: string): object {
  return {
    listeners: [{ name: "web", address: "127.0.0.1:0", protocol: "http" }],
    upstreams: [{ name: "none", endpoints: [{ address: "127.0.0.1:1" }] }],
    tenants: [{ name: "ops", hosts: ["*"] }],
    routes: [
      {
        name: "all",
        tenant: "ops",
        filters: [{ builtin: "static-response", config: { status: 200, body: answer } }],
        upstream: "none",
      },
    ],
  };
}

async function start(...args: string[]): Promise<{ running: Gateway; rewrite: (text: string) => void }> {
  const running = await startGateway({ config: config("one"), args });
  gateway = running;
  expect((await running.request("web", "/")).body).toBe("one");
  const file = join(dirname(running.data), "penstock.yaml");
  return { running, rewrite: (text) => writeFileSync(file, text) };
}

async function answers(running: Gateway, body: string): Promise<void> {
  await expect.poll(async () => (await running.request("web", "/")).body, { timeout: 10_000 }).toBe(body);
}

async function says(running: Gateway, what: RegExp): Promise<void> {
  await expect.poll(() => running.logs.some((line) => what.test(line)), { timeout: 10_000 }).toBe(true);
}

test("SIGHUP reads the file again; a bad one changes nothing and says where", async () => {
  const { running, rewrite } = await start();
  rewrite(stringify(config("two")));
  process.kill(running.pid, "SIGHUP");
  await answers(running, "two");

  rewrite(`${stringify(config("three"))}listners: []\n`);
  process.kill(running.pid, "SIGHUP");
  await says(running, /penstock\.yaml:\d+:1: .*did you mean/);
  expect((await running.request("web", "/")).body).toBe("two");

  rewrite(stringify(config("two")));
  process.kill(running.pid, "SIGHUP");
  await says(running, /nothing has changed/);
});

test("what stands in the environment and in other files is put in", async () => {
  const running = await startGateway({
    config: config("${GREETING} ${file:name.txt}"),
    env: { GREETING: "hello" },
  }).catch((error: unknown) => String(error));
  expect(running).toMatch(/penstock\.yaml:\d+:\d+: \$\{file:name\.txt\}: the file can't be read/);
  gateway = await startGateway({ config: config("${GREETING} ${NAME:-world}"), env: { GREETING: "hello" } });
  expect((await gateway.request("web", "/")).body).toBe("hello world");
});

test("--watch follows the file, without a signal", async () => {
  const { running, rewrite } = await start("--watch");
  rewrite(stringify(config("two")));
  await answers(running, "two");
  // Many writes in a row are one change or a few, and the last one counts.
  for (let i = 0; i < 20; i++) rewrite(stringify(config(`version ${i}`)));
  await answers(running, "version 19");
});
