/** The package that `npm run pack` makes: installed globally without scripts, and run as root and as a user. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { thisInstallation } from "#main/confine/installation.ts";

const folder = mkdtempSync(join(tmpdir(), "penstock-package-"));
const prefix = join(folder, "prefix");
const program = join(prefix, "bin/penstock");
let running: ChildProcess | null = null;

beforeAll(() => {
  chmodSync(folder, 0o755);
  // A global installation is readable to all, whatever the umask here.
  const sh = (command: string) => spawnSync("sh", ["-c", `umask 022; ${command}`], { encoding: "utf8", cwd: folder });
  const packed = sh(`sh ${thisInstallation().root}/gateway/main/setup/pack.sh ${folder}`);
  expect(packed.status, packed.stderr).toBe(0);
  const installed = sh(
    `npm install --global --prefix ${prefix} --ignore-scripts --no-audit --no-fund --prefer-offline --loglevel=error ${packed.stdout.trim().split("\n").at(-1) ?? ""}`,
  );
  expect(installed.status, installed.stderr).toBe(0);
}, 240_000);
afterEach(async () => {
  await end();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function end(): Promise<void> {
  const child = running;
  running = null;
  if (child === null || child.exitCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await ended;
}

interface Started {
  readonly address: string;
  readonly all: () => string;
}

/** On its embedded default, with an environment that knows nothing of this checkout. */
async function start(uid: number): Promise<Started> {
  const home = join(folder, `home-${uid}`);
  mkdirSync(home, { recursive: true });
  chownSync(home, uid, uid);
  const args = ["run", "--json", "--workers", "1", "--example", "--listen", "127.0.0.1:0"];
  const child = spawn(program, uid === 0 ? [...args, "--data", join(home, "data")] : args, {
    cwd: home,
    uid,
    gid: uid,
    env: { PATH: "/usr/bin:/bin", HOME: home },
    stdio: ["ignore", "pipe", "pipe"],
  });
  running = child;
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (said += text));
  await expect.poll(() => said, { timeout: 30_000 }).toContain('"event":"ready"');
  const ready = said.split("\n").find((line) => line.startsWith('{"event":"ready"')) ?? "";
  const { listeners } = JSON.parse(ready) as { listeners: { address: string }[] };
  return { address: listeners[0]?.address ?? "", all: () => said };
}

function get(address: string, headers: Readonly<Record<string, string>>): Promise<number> {
  const [host, port] = address.split(":");
  return new Promise((resolve, reject) => {
    request({ host, port, path: "/hello", headers, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .once("error", reject)
      .end();
  });
}

test("says its version, under the Node that came with it", () => {
  const { stdout, stderr } = spawnSync(program, ["--version"], { encoding: "utf8", env: { PATH: "/usr/bin:/bin" } });
  expect([stdout, stderr]).toEqual([expect.stringMatching(/^\d+\.\d+\.\d+\n$/), ""]);
});

test.each([
  ["root", 0],
  ["a user", 65_534],
])("serves its example as %s, through a plugin", { timeout: 60_000 }, async (_, uid) => {
  if (process.getuid?.() !== 0 && uid !== process.getuid?.()) return;
  const { address, all } = await start(uid);
  expect(await get(address, { "x-token": "s3cret" }), all()).toBe(200);
  expect(await get(address, {})).toBe(401);
});

test.each([
  ["AssemblyScript", "greet", []],
  ["TypeScript", "greet-ts", ["--lang", "ts"]],
])("makes, tests and builds a plugin in %s", { timeout: 60_000 }, (_, name, language) => {
  const options = { encoding: "utf8", cwd: folder, env: { PATH: "/usr/bin:/bin", HOME: folder } } as const;
  for (const args of [
    ["plugin", "new", name, ...language],
    ["plugin", "test", name],
    ["plugin", "build", name],
  ]) {
    const { status, stdout, stderr } = spawnSync(program, args, options);
    expect([status, stdout + stderr]).toEqual([0, expect.stringMatching(/greet/)]);
  }
});
