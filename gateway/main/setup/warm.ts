/**
 * Fills the compile cache that the gateway's processes start from: without it each strips types and compiles some two
 * hundred files anew, and a worker that died comes back three times later. Made here, by who installs, and never by
 * unprivileged processes: what is in it is executed by root. An entry that does not fit its source is ignored by Node.
 *
 * Node keeps a folder for each user; the unprivileged children are shown the installer's.
 */
import { fork, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { COMPILE_CACHE, UNPRIVILEGED } from "#main/confine/policies.ts";
import { thisInstallation } from "#main/confine/installation.ts";

/** Everything else that they run is among what these import. */
const PROGRAMS = ["#main/confine/seal.ts", "#worker/process.ts", "#control/control.ts", "#wasm/prepare.ts"];
/**
 * Where processes begin. Each is started without what it needs, by a parent that is gone at once, and so ends by itself. One
 * source that is not in the cache costs a process what strips types, which is 12 MiB.
 */
const ENTRIES = [
  "gateway/main/confine/launch.ts",
  "gateway/control/main.ts",
  "gateway/worker/main.ts",
  "gateway/worker/builder.ts",
  "gateway/main/example/echo.ts",
];
const ENTRY_MS = 20_000;

const [program] = process.argv.slice(2);
if (program !== undefined) await import(program);
else await fill();

async function fill(): Promise<void> {
  const { root, node } = thisInstallation();
  const folder = join(root, COMPILE_CACHE);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const env = { ...process.env, NODE_COMPILE_CACHE: folder };
  const runs = [
    [join(root, "gateway/main/penstock.ts"), "help"],
    ...PROGRAMS.map((each) => [import.meta.filename, each]),
  ];
  for (const args of runs) {
    const { status } = spawnSync(node, ["--no-warnings", ...args], { stdio: ["ignore", "ignore", "inherit"], env });
    if (status !== 0) throw new Error(`${args.join(" ")} can't be loaded`);
  }
  for (const entry of ENTRIES) await begin(join(root, entry), node, env);
  share(folder, process.getuid?.() ?? 0);
}

async function begin(entry: string, node: string, env: NodeJS.ProcessEnv): Promise<void> {
  const child = fork(entry, [], {
    execPath: node,
    execArgv: ["--no-warnings"],
    stdio: ["ignore", "ignore", "ignore", "ipc"],
    env,
  });
  const late = setTimeout(() => child.kill("SIGKILL"), ENTRY_MS);
  child.disconnect();
  await once(child, "exit");
  clearTimeout(late);
}

/** `v26.10.0-x64-310b2ce3-0` is seen as `v26.10.0-x64-310b2ce3-65534` too. */
function share(folder: string, uid: number): void {
  for (const name of readdirSync(folder)) {
    for (const file of readdirSync(join(folder, name))) chmodSync(join(folder, name, file), 0o644);
    const theirs = name.replace(new RegExp(`-${uid}$`), `-${UNPRIVILEGED.uid}`);
    if (!existsSync(join(folder, theirs))) symlinkSync(name, join(folder, theirs));
  }
}
