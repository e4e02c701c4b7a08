/** A checkout below a directory that the unprivileged user can't enter, as /root is, still runs unprivileged. */
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
  chownSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { thisInstallation } from "#main/confine/installation.ts";
import { UNPRIVILEGED } from "#main/confine/policies.ts";
import { spawnChild } from "#main/supervisor/spawn.ts";
import { effectiveCapabilities } from "#sys/capabilities.ts";
import { closedAncestor } from "#sys/confine-mounts.ts";

const here = thisInstallation();
const able = process.getuid?.() === 0 && effectiveCapabilities().has("CAP_SYS_ADMIN");
let closed = "";
let root = "";

/** Node's database opens by path, and the sibling directory must be out of sight. */
const ENTRY = `
import { DatabaseSync } from "node:sqlite";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
const [data, secret] = process.argv.slice(2);
const store = new DatabaseSync(data + "/store.db");
store.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (n)");
process.send({ uid: process.getuid(), entry: import.meta.filename, secret: existsSync(secret) }, () => process.disconnect());
`;

beforeAll(() => {
  closed = realpathSync(mkdtempSync(join(tmpdir(), "penstock-closed-"))); // 0700, as mkdtemp makes them
  root = join(closed, "src/penstock");
  for (const part of [
    "gateway/core",
    "gateway/sys",
    "gateway/main",
    "package.json",
    "node_modules/koffi",
    "node_modules/@koromix",
  ]) {
    if (existsSync(join(here.root, part))) cpSync(join(here.root, part), join(root, part), { recursive: true });
  }
  cpSync(here.node, join(root, "node"));
  mkdirSync(join(root, "data"));
  if (able) chownSync(join(root, "data"), UNPRIVILEGED.uid, UNPRIVILEGED.gid);
  writeFileSync(join(root, "gateway/entry.ts"), ENTRY);
  writeFileSync(join(closed, "secret"), "secret");
});

afterAll(() => rmSync(closed, { recursive: true, force: true }));

test.skipIf(!able)("by a private view of the file system (needs CAP_SYS_ADMIN)", async () => {
  const data = join(root, "data");
  const entry = join(root, "gateway/entry.ts");
  const mountsBefore = readFileSync("/proc/self/mountinfo", "utf8");
  const child = spawnChild({
    kind: "control",
    installation: { root, node: join(root, "node") },
    entry,
    data,
    files: [],
    privileged: true,
    ioUring: false,
    args: [data, join(closed, "secret")],
    descriptors: [],
    output: "inherit",
  });
  const exited = once(child, "exit");
  const said = await Promise.race([once(child, "message"), exited]);
  expect(said[0]).toEqual({ uid: UNPRIVILEGED.uid, entry, secret: false });
  await exited;
  expect(existsSync(join(data, "store.db"))).toBe(true);
  expect(readFileSync("/proc/self/mountinfo", "utf8")).toBe(mountsBefore);
});

test("the topmost closed ancestor is found", () => {
  expect(closedAncestor(root)).toBe(closed);
  expect(closedAncestor("/usr/lib")).toBeNull();
});
