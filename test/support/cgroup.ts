/** Cgroups for tests, under the cgroup2 root; named and cleaned up like test/support/netns.ts. */
import { spawn, type ChildProcess, type SpawnOptions } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { cgroup2Root } from "#sys/cgroup.ts";

const PREFIX = "pst-";

export class TestCgroup {
  readonly directory: string;

  constructor(label: string, parent = cgroup2Root()) {
    if (parent === null) throw new Error("no cgroup2 here");
    this.directory = path.join(parent, `${PREFIX}${process.pid}-${label}`);
    fs.mkdirSync(this.directory);
  }

  /** Starts a command whose every process is in the cgroup from its first instruction on. */
  spawn(command: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const script = 'echo $$ > "$0/cgroup.procs" && exec "$@"';
    return spawn("sh", ["-c", script, this.directory, command, ...args], options);
  }

  /** Runs a command in it to its end. */
  async run(
    command: string,
    ...args: readonly string[]
  ): Promise<{ readonly code: number | null; readonly stdout: string }> {
    const child = this.spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
    let stdout = "";
    child.stdout?.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
    return { code, stdout };
  }

  /** Moves a process here. */
  add(pid: number): void {
    fs.writeFileSync(path.join(this.directory, "cgroup.procs"), String(pid));
  }

  /** Ends what still runs in it, and removes it. */
  async destroy(): Promise<void> {
    for (let i = 0; fs.existsSync(this.directory); i++) {
      const members = fs.readFileSync(path.join(this.directory, "cgroup.procs"), "utf8").split("\n").filter(Boolean);
      for (const pid of members) if (Number(pid) !== process.pid) process.kill(Number(pid), "SIGKILL");
      try {
        fs.rmdirSync(this.directory);
      } catch (error) {
        // EBUSY until the last member has been reaped.
        if (i === 200) throw error;
        await sleep(10);
      }
    }
  }
}

/** Cgroups of test runs whose process is gone. Their own children, if any, first. */
export function removeLeftoverCgroups(): void {
  const root = cgroup2Root();
  if (root === null) return;
  for (const name of fs.readdirSync(root)) {
    const owner = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1];
    if (owner === undefined || fs.existsSync(`/proc/${owner}`)) continue;
    const directory = path.join(root, name);
    for (const child of fs.readdirSync(directory, { withFileTypes: true })) {
      if (child.isDirectory()) fs.rmdirSync(path.join(directory, child.name));
    }
    fs.rmdirSync(directory);
  }
}
