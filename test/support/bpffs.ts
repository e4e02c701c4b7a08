/** A bpffs of a test's own, in a temporary folder named after the process, so that a later run can take away what a killed one left. */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { run } from "./netns.ts";

const PREFIX = "pst-bpffs-";

export class TestBpffs {
  readonly directory: string;

  constructor() {
    this.directory = fs.mkdtempSync(path.join(os.tmpdir(), `${PREFIX}${process.pid}-`));
    try {
      run("mount", "-t", "bpf", "bpf", this.directory);
    } catch (error) {
      fs.rmdirSync(this.directory);
      throw error;
    }
  }

  destroy(): void {
    run("umount", this.directory);
    fs.rmdirSync(this.directory);
  }
}

/** Of test runs whose process is gone. */
export function removeLeftoverBpffs(): void {
  const mounts = fs.readFileSync("/proc/self/mounts", "utf8");
  for (const name of fs.readdirSync(os.tmpdir())) {
    const owner = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1];
    if (owner === undefined || fs.existsSync(`/proc/${owner}`)) continue;
    const directory = path.join(os.tmpdir(), name);
    if (mounts.includes(` ${directory} bpf `)) run("umount", directory);
    fs.rmdirSync(directory);
  }
}
