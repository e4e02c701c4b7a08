/** What a run of the tests must not leave behind is seen, by name; what others have is not. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { attachToCgroupLegacy } from "#bpf/kernel/attach.ts";
import { MachineWatch } from "#main/setup/leftovers.ts";
import { cgroup2Root } from "#sys/cgroup.ts";
import { TestCgroup } from "#test/support/cgroup.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { Namespace, run } from "#test/support/netns.ts";
import { loadTiny } from "#test/support/tiny-program.ts";

/** Where no checkout is: other tests of this one are at work. */
const ROOT = "/nowhere/penstock";

describeKernel("leftovers", () => {
  let watch: MachineWatch;
  const left = (): Promise<readonly string[]> => watch.left(0);
  /** The id of a process that is gone. */
  const dead = (): number => spawnSync("true").pid;

  beforeEach(() => {
    watch = new MachineWatch(ROOT);
  });
  afterEach(() => watch.removeFolder());

  it("are none where nothing is left", async () => {
    expect(await left()).toEqual([]);
  });

  it("are files, as long as they are there", async () => {
    const file = join(watch.folder, "penstock-x");
    writeFileSync(file, "");
    expect(await left()).toEqual([`file ${file}`]);
  });

  it("are processes of this checkout or of its temporary folder, until they have ended", async () => {
    const commands = [`${ROOT}/gateway/worker/main.ts`, join(watch.folder, "bin/penstock"), "/another/gateway/main.ts"];
    const children = commands.map((command) => spawn("sh", ["-c", "echo; read line", command], { stdio: "pipe" }));
    for (const child of children) await once(child.stdout, "data");
    const [ours, installed] = children;
    expect((await left()).toSorted()).toEqual(
      [
        `process ${ours?.pid}: sh -c echo; read line ${commands[0]}`,
        `process ${installed?.pid}: sh -c echo; read line ${commands[1]}`,
      ].toSorted(),
    );
    for (const child of children) child.stdin.end();
    expect(await watch.left()).toEqual([]);
  });

  it("are namespaces and cgroups of a test that is gone, and not of one that runs", async () => {
    const running = new Namespace("left");
    const group = new TestCgroup("left");
    const gone = `pst-${dead()}-left`;
    const directory = join(cgroup2Root() ?? "", gone);
    run("ip", "netns", "add", gone);
    mkdirSync(directory);
    try {
      expect((await left()).filter((name) => name.includes("left"))).toEqual([
        `network namespace ${gone}`,
        `cgroup ${gone}`,
      ]);
    } finally {
      rmdirSync(directory);
      run("ip", "netns", "delete", gone);
      running.destroy();
      await group.destroy();
    }
  });

  it("are file systems mounted in the folder", async () => {
    const place = join(watch.folder, "fs");
    mkdirSync(place);
    run("mount", "-t", "tmpfs", "none", place);
    try {
      expect(await left()).toEqual([`file ${place}`, `mount at ${place}`]);
    } finally {
      run("umount", place);
    }
  });

  it("are programs that the kernel keeps and no process holds", async () => {
    const group = new TestCgroup("held");
    const program = loadTiny("cgroup/connect4", 1);
    const { id } = program.info();
    const found = async (): Promise<string[]> => (await left()).filter((name) => name.startsWith(`BPF program ${id} `));
    try {
      attachToCgroupLegacy(program, group.directory);
      expect(await found()).toEqual([]);
      program.close();
      expect(await found()).toEqual([`BPF program ${id} tiny`]);
    } finally {
      await group.destroy();
    }
    await expect.poll(found).toEqual([]);
  });
});
