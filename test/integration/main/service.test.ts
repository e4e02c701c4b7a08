/** The gateway as a service: what its manager is told, and whether the unit holds what it promises. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readSources } from "#control/config/sources.ts";
import { thisInstallation } from "#main/confine/installation.ts";
import { ServiceManager } from "#main/commands/service-manager.ts";
import { sendDatagram } from "#sys/notify.ts";
import { type Gateway, startGateway } from "#test/support/gateway.ts";
import { penstock } from "#test/support/penstock.ts";

let folder: string;
let receiver: ChildProcess | null = null;
let gateway: Gateway | null = null;
let heard: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "penstock-service-"));
  heard = "";
});
afterEach(async () => {
  await gateway?.stop();
  gateway = null;
  // It removes its socket itself, and a removal that meets with that ends early.
  if (receiver?.kill() === true) await once(receiver, "exit");
  receiver = null;
  rmSync(folder, { recursive: true, force: true });
});

/** A manager's socket: `/path`, or `@name` of the abstract name space. */
async function listenAt(name: string): Promise<void> {
  const from = name.startsWith("@") ? `ABSTRACT-RECV:${name.slice(1)}` : `UNIX-RECV:${name}`;
  receiver = spawn("socat", ["-u", from, "STDOUT"], { stdio: ["ignore", "pipe", "inherit"] });
  receiver.stdout?.setEncoding("utf8").on("data", (text: string) => (heard += `${text}\n--\n`));
  const there = () => readFileSync("/proc/net/unix", "utf8").includes(name);
  await expect.poll(there, { timeout: 5000 }).toBe(true);
}

const told = (what: string | RegExp): Promise<void> => expect.poll(() => heard, { timeout: 10_000 }).toMatch(what);

test.each(["/", "@"])("a datagram reaches a socket named by %s", async (kind) => {
  const name = kind === "@" ? `@penstock-test-${process.pid}` : join(folder, "notify");
  await listenAt(name);
  sendDatagram(name, "READY=1");
  await told("READY=1");
  expect(() => sendDatagram(join(folder, "nobody"), "x")).toThrow(/ENOENT/);
  expect(() => sendDatagram("relative", "x")).toThrow(RangeError);
});

test("a watched gateway says that it lives while a worker serves, and only then", async () => {
  const sent: string[] = [];
  const log: string[] = [];
  let serving = true;
  const env = { NOTIFY_SOCKET: "/run/x", WATCHDOG_USEC: "20000", WATCHDOG_PID: String(process.pid) };
  const manager = new ServiceManager(
    env,
    (_, message) => log.push(message),
    (_, text) => sent.push(text),
  );
  manager.ready("revision 1", () => serving);
  await expect.poll(() => sent.filter((one) => one === "WATCHDOG=1").length).toBeGreaterThan(2);
  serving = false;
  const before = sent.length;
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(sent.length).toBeLessThanOrEqual(before + 1);
  manager.stopping();
  expect(sent.at(-1)).toMatch(/^STOPPING=1/);
  expect(log).toEqual([]);
});

test("who takes over is told before anything else, and what is said here afterwards is about nobody", () => {
  const sent: string[] = [];
  const manager = new ServiceManager(
    { NOTIFY_SOCKET: "/run/x" },
    () => {},
    (_, text) => sent.push(text),
  );
  manager.ready("revision 1", () => true);
  manager.handedTo(4711);
  manager.stopping();
  manager.reloaded("revision 2");
  expect(sent).toEqual(["READY=1\nSTATUS=revision 1", "MAINPID=4711\nREADY=1"]);
});

test("the whole life of a gateway is told", async () => {
  const notify = join(folder, "notify");
  await listenAt(notify);
  const config = readFileSync(join(thisInstallation().root, "gateway/main/systemd/penstock.yaml"), "utf8");
  gateway = await startGateway({
    config: config.replace("0.0.0.0:8080", "127.0.0.1:0"),
    env: { NOTIFY_SOCKET: notify, WATCHDOG_USEC: "200000" },
  });
  await told(/READY=1\nSTATUS=revision 1/);
  await told("WATCHDOG=1");
  process.kill(gateway.pid, "SIGHUP");
  await told(/RELOADING=1\nMONOTONIC_USEC=\d+\n[^]*READY=1\nSTATUS=revision 1/);
  await gateway.stop();
  await told("STOPPING=1");
});

describe("the unit", () => {
  const source = join(thisInstallation().root, "gateway/main/systemd/penstock.service");
  const analyze = (...args: string[]) => spawnSync("systemd-analyze", args, { encoding: "utf8" });
  const missing = !existsSync("/usr/bin/systemd-analyze");

  test.skipIf(missing)("is well formed, and leaves little open", () => {
    const unit = join(folder, "penstock.service");
    writeFileSync(unit, readFileSync(source, "utf8"));
    const { status, stderr } = analyze("verify", "--man=no", unit);
    expect([status, stderr]).toEqual([0, ""]);
    // 0 is best, 10 worst; a service that may do everything has 9.6.
    const security = analyze("security", "--offline=true", "--no-pager", "--threshold=35", unit);
    expect(security.status, security.stdout).toBe(0);
  });

  test("starts what the command line knows, on a declaration that is accepted", async () => {
    const command = /^ExecStart=\/usr\/bin\/env penstock (.*)$/m.exec(readFileSync(source, "utf8"))?.[1] ?? "";
    expect(command).toBe("run --data /var/lib/penstock -f /etc/penstock");
    const { out } = await penstock({ cwd: folder }, "help", "run");
    for (const option of ["--data", "-f"]) expect(out).toContain(option);
    const text = readFileSync(join(thisInstallation().root, "gateway/main/systemd/penstock.yaml"), "utf8");
    expect(readSources([{ file: "penstock.yaml", text }]).findings).toEqual([]);
  });
});
