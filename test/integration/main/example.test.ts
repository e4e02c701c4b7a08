/** The embedded example does what is printed about it, and is there again after a restart. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { DEFAULT_MODULE_FILE, DEFAULT_TOKEN } from "#control/default-config.ts";
import { thisInstallation } from "#main/confine/installation.ts";
import { startGateway } from "#test/support/gateway.ts";
import type { Gateway } from "#test/support/gateway.ts";
import { freePort } from "#test/support/ports.ts";

const built = existsSync(join(thisInstallation().root, DEFAULT_MODULE_FILE));

async function behavesAsPrinted(gateway: Gateway): Promise<void> {
  const passed = await gateway.request("web", "/hello", {
    headers: { "x-token": DEFAULT_TOKEN },
    method: "POST",
    body: "a body",
  });
  expect(passed.status).toBe(200);
  expect(passed.body).toMatch(/^POST \/hello HTTP\/1.1\n[^]*x-checked: 1\n[^]*\n\na body$/);
  expect(await gateway.request("web", "/hello")).toMatchObject({ status: 401, body: "no token\n" });
  expect((await gateway.request("web", "/hello", { headers: { "x-token": "wrong" } })).status).toBe(401);
}

test.skipIf(!built)("token-check in front of an echo server (needs the sample plugins built)", async () => {
  const data = mkdtempSync(join(tmpdir(), "penstock-example-"));
  const args = ["--example", "--listen", `127.0.0.1:${await freePort()}`];
  try {
    for (const more of [args, ["--example"], []]) {
      const gateway = await startGateway({ data, args: more });
      try {
        await behavesAsPrinted(gateway);
      } finally {
        expect(await gateway.stop()).toBe(0);
      }
    }
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
});
