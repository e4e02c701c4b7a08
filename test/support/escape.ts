/**
 * A child that tries to get out of its confinement, every way it can think of, and reports what came of each try: `ok`, or
 * the error code. What it is told to try on comes as its argument.
 */
import { execFileSync, fork } from "node:child_process";
import { promises, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createServer, connect } from "node:net";
import { Worker } from "node:worker_threads";
import { effectiveCapabilities } from "#sys/capabilities.ts";
import { errno, errnoName, libc } from "#sys/libc.ts";
import { processStatus } from "#sys/process.ts";

export interface EscapeOrders {
  /** A world-readable file outside everything. */
  readonly secret: string;
  /** A world-writable directory. */
  readonly open: string;
  /** A sibling that runs as the same user. */
  readonly sibling: number;
  /** Its data directory; null where it has none. */
  readonly own: string | null;
  /** A TCP port that someone listens on. */
  readonly port: number;
}

export interface EscapeReport {
  readonly status: Readonly<Record<string, string>>;
  readonly capabilities: number;
  readonly tries: Readonly<Record<string, string>>;
}

const orders = JSON.parse(process.argv[2] ?? "null") as EscapeOrders;
const tries: Record<string, string> = {};

async function attempt(name: string, act: () => unknown): Promise<void> {
  try {
    await act();
    tries[name] = "ok";
  } catch (error) {
    tries[name] = error instanceof Error && "code" in error ? String(error.code) : String(error);
  }
}

const syscall = libc.func("int64_t syscall(int64_t number, int64_t a, uintptr_t b, int64_t c, int64_t d, int64_t e)");
const arm = process.arch === "arm64";
/** A raw system call, by its x86-64 and arm64 numbers. */
function raw(x64: number, arm64: number, a = 0, b = 0, c = 0, d = 0, e = 0): void {
  if (Number(syscall(arm ? arm64 : x64, a, b, c, d, e)) < 0) {
    throw Object.assign(new Error("refused"), { code: errnoName(errno()) });
  }
}

function inThread(body: string): Promise<void> {
  const code = `try { ${body}; require("worker_threads").parentPort.postMessage("ok") }
    catch (error) { require("worker_threads").parentPort.postMessage(error.code) }`;
  return new Promise((resolve, reject) => {
    const thread = new Worker(code, { eval: true });
    thread.on("error", reject);
    thread.on("message", (code: string) => {
      if (code === "ok") resolve();
      else reject(Object.assign(new Error("refused"), { code }));
    });
  });
}

async function files(): Promise<void> {
  await attempt("read", () => readFileSync(orders.secret));
  await attempt("read shadow", () => readFileSync("/etc/shadow"));
  await attempt("read in thread pool", () => promises.readFile(orders.secret));
  await attempt("read in worker thread", () =>
    inThread(`require("fs").readFileSync(${JSON.stringify(orders.secret)})`),
  );
  await attempt("write", () => writeFileSync(`${orders.open}/escaped`, "x"));
  await attempt("write in worker thread", () =>
    inThread(`require("fs").writeFileSync(${JSON.stringify(`${orders.open}/escaped`)}, "x")`),
  );
  await attempt("list root's home", () => readdirSync("/root"));
  await attempt("read sibling's environment", () => readFileSync(`/proc/${orders.sibling}/environ`));
  if (orders.own !== null) await attempt("write own data", () => writeFileSync(`${orders.own}/kept`, "x"));
}

async function processes(): Promise<void> {
  await attempt("spawn", () => execFileSync("/bin/true"));
  await attempt("spawn node", () => execFileSync(process.execPath, ["--version"]));
  await attempt(
    "fork",
    () =>
      new Promise((resolve, reject) =>
        fork(import.meta.filename)
          .once("error", reject)
          .once("spawn", resolve),
      ),
  );
  await attempt("execve", () => raw(59, 221));
  await attempt("signal sibling", () => process.kill(orders.sibling, 0));
  await attempt("ptrace sibling", () => raw(101, 117, 16, orders.sibling));
  await attempt("pidfd sibling", () => raw(434, 434, orders.sibling));
  await attempt("thread", () => inThread("0"));
}

async function kernel(): Promise<void> {
  await attempt("mount", () => raw(165, 40));
  await attempt("unshare user", () => raw(272, 97, 0x1000_0000));
  await attempt("bpf program", () => raw(321, 280, 5));
  // An element of a descriptor that is not there: EBADF says that the call went through.
  await attempt("bpf element", () => raw(321, 280, 1));
  await attempt("io_uring", () => raw(425, 425));
  await attempt("perf", () => raw(298, 241));
  await attempt("keyring", () => raw(250, 219));
  await attempt("packet socket", () => raw(41, 198, 17, 3));
  await attempt("alg socket", () => raw(41, 198, 38, 5));
  await attempt("clone3", () => raw(435, 435));
  await attempt("type into terminal", () => raw(16, 29, 0, 0x5412));
  await attempt("setuid 0", () => process.setuid?.(0));
}

async function network(): Promise<void> {
  await attempt(
    "bind",
    () =>
      new Promise((resolve, reject) => {
        const server = createServer().once("error", reject);
        server.listen(0, "127.0.0.1", () => server.close(resolve));
      }),
  );
  // Of a socket that nobody has bound; of none at all here: EBADF says that the call went through.
  await attempt("listen", () => raw(50, 201, -1));
  await attempt(
    "connect",
    () =>
      new Promise<void>((resolve, reject) => {
        const socket = connect(orders.port, "127.0.0.1", () => {
          socket.destroy();
          resolve();
        }).once("error", reject);
      }),
  );
}

await files();
await processes();
await kernel();
await network();
const { CapEff, CapBnd, CapPrm, CapInh, CapAmb, NoNewPrivs, Seccomp, Uid, Groups } =
  Object.fromEntries(processStatus());
const status = { CapEff, CapBnd, CapPrm, CapInh, CapAmb, NoNewPrivs, Seccomp, Uid, Groups } as Record<string, string>;
const report: EscapeReport = { status, capabilities: effectiveCapabilities().size, tries };
process.send?.(report, () => {
  process.disconnect?.();
});
