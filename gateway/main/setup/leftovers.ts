/**
 * What a run of the tests has left on the machine: nothing, or the run has failed. What there is is looked at before and after,
 * and what is new is told by name.
 *
 * Others may use the machine meanwhile, other checkouts' tests among them. So only that counts which this run must have made: files in a
 * temporary folder of its own, processes of this checkout, what is named after a test process that is gone, and programs of
 * ours that the kernel runs though no process holds them.
 */
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { closeFd } from "#bpf/kernel/call.ts";
import { objectIds, openIfAllowed } from "#bpf/kernel/ids.ts";
import { programInfo } from "#bpf/kernel/program.ts";
import { readSpec } from "#bpf/spec/read.ts";
import { cgroup2Root } from "#sys/cgroup.ts";

/** `pst-PID-…`: namespaces, cgroups and mounts of the test process PID (test/support). */
const TEST_NAME = /^pst-(?:bpffs-)?(\d+)-/;
const NAMESPACES = "/run/netns";
const BPFFS = "/sys/fs/bpf";
/** Node's own, of programs that were started without a place for it; it is meant to stay. */
const COMPILE_CACHE = "node-compile-cache";
/** Of a program's name, as the kernel keeps it. */
const NAME_BYTES_MAX = 15;
/** Processes that were ended are reaped, and programs that were let go are freed, a moment later. */
const LINGER_MS = 5000;
const LOOK_EVERY_MS = 250;

export class MachineWatch {
  /** For everything that a test puts into the system's temporary folder: TMPDIR of the run. */
  readonly folder: string;
  readonly #root: string;
  readonly #before: ReadonlySet<string>;

  /** `root`: of the checkout, absolute. */
  constructor(root: string) {
    this.#root = root;
    this.folder = mkdtempSync(join(tmpdir(), "penstock-run-"));
    // Tests run gateways under other users.
    chmodSync(this.folder, 0o1777);
    this.#before = new Set([...this.#named(), ...programs().map(({ name }) => name)]);
  }

  /** A line each. Waits a little for what goes by itself. */
  async left(lingerMs = LINGER_MS): Promise<readonly string[]> {
    const until = performance.now() + lingerMs;
    for (;;) {
      const left = this.#look();
      if (left.length === 0 || performance.now() >= until) return left;
      await sleep(LOOK_EVERY_MS);
    }
  }

  /** With all that was left in it. */
  removeFolder(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #look(): string[] {
    const fresh = this.#named().filter((name) => !this.#before.has(name));
    const loaded = programs().filter(({ name }) => !this.#before.has(name));
    if (loaded.length === 0) return fresh;
    const held = heldPrograms();
    return [...fresh, ...loaded.filter(({ id }) => !held.has(id)).map(({ name }) => name)];
  }

  #named(): string[] {
    return [
      ...list(this.folder).flatMap((name) => (name === COMPILE_CACHE ? [] : [`file ${join(this.folder, name)}`])),
      ...processes([`${this.#root}/gateway/`, `${this.#root}/test/`, `${this.folder}/`]),
      ...ownerless(NAMESPACES).map((name) => `network namespace ${name}`),
      ...ownerless(cgroup2Root()).map((name) => `cgroup ${name}`),
      ...mounts(this.folder),
      ...list(BPFFS).flatMap((name) => (name.startsWith("penstock-") ? [`pins in ${join(BPFFS, name)}`] : [])),
    ];
  }
}

function list(folder: string | null): string[] {
  return folder !== null && existsSync(folder) ? readdirSync(folder) : [];
}

/** Named after a test process that is gone. */
function ownerless(folder: string | null): string[] {
  return list(folder).filter((name) => {
    const owner = TEST_NAME.exec(name)?.[1];
    return owner !== undefined && !existsSync(`/proc/${owner}`);
  });
}

function pids(): string[] {
  return list("/proc").filter((name) => /^\d+$/.test(name));
}

/** Whose command line names one of these; but this one. */
function processes(places: readonly string[]): string[] {
  return pids().flatMap((pid) => {
    const words = read(`/proc/${pid}/cmdline`).split("\0").filter(Boolean);
    const named = words.some((word) => places.some((place) => word.includes(place)));
    return named && pid !== String(process.pid) ? [`process ${pid}: ${words.join(" ")}`] : [];
  });
}

function mounts(folder: string): string[] {
  return read("/proc/self/mounts")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((place) => place.startsWith(`${folder}/`))
    .map((place) => `mount at ${place}`);
}

/** Empty for what is gone, or is another user's. */
function read(file: string): string {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return "";
  }
}

interface LoadedProgram {
  readonly id: number;
  /** `BPF program 17 firewall` */
  readonly name: string;
}

/** Of ours, by name, whoever has loaded them; none where it can't be asked. */
function programs(): LoadedProgram[] {
  if (process.getuid?.() !== 0) return [];
  let ids: number[];
  try {
    ids = objectIds("program");
  } catch {
    // A kernel or a container that has no such call has no such programs.
    return [];
  }
  const ours = ourPrograms();
  return ids.flatMap((id) => {
    const fd = openIfAllowed("program", id);
    if (fd === null) return [];
    try {
      const { name } = programInfo(fd);
      return ours.has(name) ? [{ id, name: `BPF program ${id} ${name}` }] : [];
    } finally {
      closeFd(fd);
    }
  });
}

let names: ReadonlySet<string> | undefined;

/** Of the gateway's objects and the tests', and those that tests make without one. */
function ourPrograms(): ReadonlySet<string> {
  if (names !== undefined) return names;
  const root = join(import.meta.dirname, "../../..");
  const found = new Set(["tiny"]);
  for (const folder of [join(root, "bpf/obj"), join(root, "test/support/bpf/obj")]) {
    for (const file of list(folder)) {
      if (!file.endsWith(".o")) continue;
      for (const name of readSpec(readFileSync(join(folder, file))).programs.keys())
        found.add(name.slice(0, NAME_BYTES_MAX));
    }
  }
  names = found;
  return found;
}

/** Ids that some process has a descriptor of: the program's own, or a link's. */
function heldPrograms(): ReadonlySet<number> {
  const held = new Set<number>();
  for (const pid of pids()) {
    for (const fd of descriptors(pid)) {
      const id = /^prog_id:\s*(\d+)$/m.exec(read(`/proc/${pid}/fdinfo/${fd}`))?.[1];
      if (id !== undefined) held.add(Number(id));
    }
  }
  return held;
}

/** Those of BPF. */
function descriptors(pid: string): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).filter((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith("anon_inode:bpf");
      } catch {
        return false;
      }
    });
  } catch {
    return [];
  }
}
