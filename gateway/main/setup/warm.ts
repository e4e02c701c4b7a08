/**
 * Fills the compile cache that the gateway's processes start from: without it each strips types and compiles some two
 * hundred files anew, and a worker that died comes back three times later. Made here, by who installs, and never by
 * unprivileged processes: what is in it is executed by root. An entry that does not fit its source is ignored by Node.
 *
 * Node keeps a folder for each user; the unprivileged children are shown the installer's.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { COMPILE_CACHE, UNPRIVILEGED } from "#main/confine/policies.ts";
import { thisInstallation } from "#main/confine/installation.ts";

/** What the entries import, which they can't be themselves here: they would start. */
const PROGRAMS = [
  "#sys/confine.ts",
  "#worker/process.ts",
  "#control/control.ts",
  "#wasm/prepare.ts",
  "#main/commands/run.ts",
];

const [program] = process.argv.slice(2);
if (program !== undefined) await import(program);
else fill();

function fill(): void {
  const { root, node } = thisInstallation();
  const folder = join(root, COMPILE_CACHE);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const each of PROGRAMS) {
    const { status } = spawnSync(node, ["--no-warnings", import.meta.filename, each], {
      stdio: "inherit",
      env: { ...process.env, NODE_COMPILE_CACHE: folder },
    });
    if (status !== 0) throw new Error(`${each} can't be loaded`);
  }
  share(folder, process.getuid?.() ?? 0);
}

/** `v26.10.0-x64-310b2ce3-0` is seen as `v26.10.0-x64-310b2ce3-65534` too. */
function share(folder: string, uid: number): void {
  for (const name of readdirSync(folder)) {
    for (const file of readdirSync(join(folder, name))) chmodSync(join(folder, name, file), 0o644);
    const theirs = name.replace(new RegExp(`-${uid}$`), `-${UNPRIVILEGED.uid}`);
    if (!existsSync(join(folder, theirs))) symlinkSync(name, join(folder, theirs));
  }
}
