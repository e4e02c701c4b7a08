/** Every kind of child, started as the supervisor starts it, tries to get out. */
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdtempSync, rmSync, writeFileSync, chmodSync, mkdirSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { thisInstallation } from "#main/confine/installation.ts";
import type { ChildKind } from "#main/confine/policies.ts";
import { UNPRIVILEGED } from "#main/confine/policies.ts";
import { spawnChild } from "#main/supervisor/spawn.ts";
import { landlockAbi } from "#sys/landlock.ts";
import { seccompAvailable } from "#sys/seccomp.ts";
import type { EscapeOrders, EscapeReport } from "#test/support/escape.ts";

const privileged = process.getuid?.() === 0;
const walls = landlockAbi() >= 6 && seccompAvailable();
const installation = thisInstallation();
const entry = join(installation.root, "test/support/escape.ts");
const server = createServer((socket) => socket.destroy());
let folder = "";
let sibling: ChildProcess;
let orders: EscapeOrders;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "penstock-confine-"));
  chmodSync(folder, 0o755);
  for (const name of ["open", "own"]) mkdirSync(join(folder, name));
  chmodSync(join(folder, "open"), 0o777);
  writeFileSync(join(folder, "secret"), "secret", { mode: 0o644 });
  if (privileged) chownSync(join(folder, "own"), UNPRIVILEGED.uid, UNPRIVILEGED.gid);
  sibling = spawn("/bin/sleep", ["60"], { stdio: "ignore", ...(privileged ? UNPRIVILEGED : {}) });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  orders = { secret: join(folder, "secret"), open: join(folder, "open"), sibling: sibling.pid ?? 0, own: null, port };
});

afterAll(() => {
  sibling.kill("SIGKILL");
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

async function escape(kind: ChildKind, ioUring = true): Promise<EscapeReport> {
  const data = kind === "control" ? join(folder, "own") : null;
  const args = [JSON.stringify({ ...orders, own: data })];
  const child = spawnChild({
    kind,
    installation,
    entry,
    data,
    files: [],
    privileged,
    ioUring,
    args,
    descriptors: [],
    output: "pipe",
  });
  const errors: Buffer[] = [];
  child.stderr?.on("data", (chunk: Buffer) => errors.push(chunk));
  const exited = once(child, "exit");
  const report = await Promise.race([once(child, "message"), exited.then(() => null)]);
  if (report === null) throw new Error(`the child said nothing: ${Buffer.concat(errors).toString()}`);
  await exited;
  return report[0] as EscapeReport;
}

/** The same for all kinds; EACCES is Landlock's word, EPERM seccomp's and the kernel's. */
const COMMON = {
  read: "EACCES",
  "read shadow": "EACCES",
  "read in thread pool": "EACCES",
  "read in worker thread": "EACCES",
  write: "EACCES",
  "write in worker thread": "EACCES",
  "list root's home": "EACCES",
  "read sibling's environment": "EACCES",
  spawn: "EPERM",
  "spawn node": "EPERM",
  fork: "EPERM",
  execve: "EPERM",
  "signal sibling": "EPERM",
  "ptrace sibling": "EPERM",
  "pidfd sibling": "EPERM",
  thread: "ok",
  mount: "EPERM",
  "unshare user": "EPERM",
  "bpf program": "EPERM",
  "bpf element": "EPERM",
  io_uring: "EPERM",
  perf: "EPERM",
  keyring: "EPERM",
  "packet socket": "EAFNOSUPPORT",
  "alg socket": "EAFNOSUPPORT",
  clone3: "ENOSYS",
  "type into terminal": "EPERM",
  "setuid 0": privileged ? "EPERM" : expect.any(String),
  bind: "EACCES",
  listen: "EBADF",
  connect: "ok",
};

/** A worker may take an address to connect from. */
const NO_LISTEN = { bind: "EPERM", listen: "EPERM" };

/** EFAULT and EINVAL are the kernel's answer to our empty arguments: the filter let the call through. */
const KINDS: readonly [name: string, kind: ChildKind, ioUring: boolean, differs: Record<string, string>][] = [
  ["worker", "worker", true, { ...NO_LISTEN, "bpf element": "EINVAL", io_uring: "EFAULT" }],
  ["worker without io_uring", "worker", false, { ...NO_LISTEN, "bpf element": "EINVAL" }],
  ["control", "control", true, { "write own data": "ok" }],
  ["builder", "builder", true, { bind: "EPERM", connect: "EPERM" }],
  ["echo", "echo", true, {}],
];

describe.skipIf(!walls)("confinement (needs Landlock ABI 6 and seccomp)", () => {
  test.each(KINDS)("%s can't get out", async (_name, kind, ioUring, differs) => {
    const { tries, status, capabilities } = await escape(kind, ioUring);
    expect(tries).toEqual({ ...COMMON, ...differs });
    expect(existsSync(join(folder, "open/escaped"))).toBe(false);
    expect(status).toMatchObject({ NoNewPrivs: "1", Seccomp: "2", CapEff: expect.stringMatching(/^0+$/) });
    expect(capabilities).toBe(0);
  });

  test.runIf(privileged)("root is given up whole", async () => {
    const { status } = await escape("worker");
    const none = expect.stringMatching(/^0+$/);
    expect(status).toMatchObject({ CapEff: none, CapPrm: none, CapBnd: none, CapInh: none, CapAmb: none });
    expect(status["Uid"]?.split("\t")).toEqual(Array(4).fill("65534"));
    expect(status["Groups"]).toBe("");
  });
});
