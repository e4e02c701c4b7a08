/** plugins/scripts/socks-tunnel: curl through both ends of the tunnel. */
import { execFile } from "node:child_process";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { freePort } from "#test/support/ports.ts";
import { startScript, type ScriptGateway } from "#test/support/script-gateway.ts";

const run = promisify(execFile);
let server: Server;
let script: ScriptGateway;
let [near, far] = [0, 0];

beforeAll(async () => {
  server = createServer((request, response) => request.pipe(response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  near = await freePort();
  far = await freePort();
  script = await startScript("socks-tunnel", {
    "127.0.0.1:1080": `127.0.0.1:${near}`,
    "127.0.0.1:8443": `127.0.0.1:${far}`,
  });
}, 90_000);

afterAll(async () => {
  await script.stop();
  await new Promise((resolve) => server.close(resolve));
});

function curl(...args: readonly string[]): Promise<{ readonly stdout: string }> {
  return run("curl", ["--silent", "--show-error", "--max-time", "30", ...args], { maxBuffer: 16 << 20 });
}

const target = (): string => `127.0.0.1:${(server.address() as AddressInfo).port}`;

it.each(["socks5", "socks5h", "socks4", "socks4a"])("%s, through the tunnel and back", async (scheme) => {
  const body = "0123456789".repeat(10_000);
  const { stdout } = await curl("--proxy", `${scheme}://127.0.0.1:${near}`, "--data", body, `http://${target()}/`);
  expect(stdout).toBe(body);
});

it("leads nowhere else, and lets in nobody without the token", async () => {
  await expect(curl("--proxy", `socks5://127.0.0.1:${near}`, "http://192.0.2.1/")).rejects.toThrow("curl");
  const status = ["--output", "/dev/null", "--write-out", "%{http_connect}"];
  const asked = curl(...status, "--proxytunnel", "--proxy", `http://127.0.0.1:${far}`, `http://${target()}/`);
  await expect(asked).rejects.toMatchObject({ stdout: "407" });
  expect((await curl("--write-out", "%{http_code}", `http://127.0.0.1:${far}/`)).stdout).toBe("405");
});
