/** The scripts that put programs into the kernel, run as they stand, between namespaces. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startGateway, type Gateway } from "#test/support/gateway.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { connect, Namespace, removeLeftovers } from "#test/support/netns.ts";

/** So many datagrams of 100 bytes: 142 on the wire over IPv4. */
const SEND = `
const [family, address, count] = process.argv.slice(1)
const socket = require("node:dgram").createSocket(family)
let left = Number(count)
const next = () => left-- > 0 ? socket.send(Buffer.alloc(100), 9, address, next) : socket.close()
next()`;

/** Says what it was asked for: its own address of each connection. */
const SERVE = `
const server = require("node:http").createServer(({ socket }, response) =>
  response.end("asked for " + socket.localAddress + ":" + socket.localPort))
server.listen(0, "127.0.0.1", () => console.log(server.address().port))`;

/** Says where its client wanted to go. */
const TRANSPARENT = `import { listen } from "penstock"
listen("127.0.0.1:9000", { transparent: true }, $ => $.serveHTTP((_, ctx) => String(ctx.inbound.originalDestination)))
`;

describeKernel("scripts in the kernel", () => {
  let here: Namespace;
  let there: Namespace;
  /** Ended with the tests, whatever became of them. */
  const started: ChildProcess[] = [];
  const spawn = (...args: readonly string[]): ChildProcess => {
    const child = here.spawn(process.execPath, "--no-warnings", ...args);
    started.push(child);
    return child;
  };

  beforeAll(() => {
    removeLeftovers();
    here = new Namespace("here");
    there = new Namespace("there");
    connect(here, { device: "near", addresses: ["10.77.0.1/24", "fd00:77::1/64"] }, there, {
      device: "far",
      addresses: ["10.77.0.2/24", "fd00:77::2/64"],
    });
  });

  afterAll(() => {
    for (const child of started) child.kill("SIGKILL");
    here.destroy();
    there.destroy();
  });

  it("the packet counter tells who has sent how much", async () => {
    const script = spawn("plugins/scripts/packet-counter/main.ts", "near");
    let said = "";
    let complaints = "";
    script.stdout?.setEncoding("utf8").on("data", (text: string) => (said += text));
    script.stderr?.setEncoding("utf8").on("data", (text: string) => (complaints += text));
    await expect.poll(() => said + complaints, { timeout: 30_000 }).toContain("counting on near");
    there.run(process.execPath, "-e", SEND, "udp4", "10.77.0.1", "3");
    there.run(process.execPath, "-e", SEND, "udp6", "fd00:77::1", "2");
    const row = (source: string) =>
      [...said.matchAll(new RegExp(`^${source} +(\\d+) packets +(\\d+) bytes`, "gm"))].at(-1);
    await expect.poll(() => Number(row("10\\.77\\.0\\.2")?.[1]), { timeout: 15_000 }).toBeGreaterThanOrEqual(3);
    await expect.poll(() => Number(row("fd00:77::2")?.[1]), { timeout: 15_000 }).toBeGreaterThanOrEqual(2);
    expect(Number(row("10\\.77\\.0\\.2")?.[2])).toBeGreaterThanOrEqual(3 * 142);
    script.kill("SIGTERM");
    await once(script, "exit");
    expect(here.ip("link", "show", "near")).not.toContain("xdp");
    expect(complaints).toBe("");
  });

  it("XDP goes on and off by a netlink message, and outlives who sent it", () => {
    const run = (verb: string) =>
      here.run(process.execPath, "--no-warnings", "plugins/scripts/xdp-netlink/main.ts", verb, "near");
    expect(run("on")).toMatch(/^near: XDP program \d+\n$/);
    expect(here.ip("link", "show", "near")).toContain("xdpgeneric");
    expect(run("off")).toBe("near: no XDP program\n");
    expect(here.ip("link", "show", "near")).not.toContain("xdp");
    expect(() => run("sideways")).toThrow("usage");
  });

  it("a port is handed to another listener, on devices that come later too, and goes back when the script is killed", async () => {
    const server = spawn("-e", SERVE);
    let listening = "";
    server.stdout?.setEncoding("utf8").on("data", (text: string) => (listening += text));
    await expect.poll(() => listening, { timeout: 30_000 }).toMatch(/^\d+\n/);
    const target = `127.0.0.1:${listening.trim()}`;
    const script = spawn("plugins/scripts/port-interceptor/main.ts", "8000", target);
    let said = "";
    script.stdout?.setEncoding("utf8").on("data", (text: string) => (said += text));
    script.stderr?.setEncoding("utf8").on("data", (text: string) => (said += text));
    await expect.poll(() => said, { timeout: 30_000 }).toContain(`port 8000 goes to ${target} on near`);
    const ask = (address: string) => there.run("curl", "-s", "--max-time", "10", `http://${address}:8000/`);
    expect(ask("10.77.0.1")).toBe("asked for 10.77.0.1:8000");
    connect(here, { device: "later", addresses: ["10.78.0.1/24"] }, there, {
      device: "after",
      addresses: ["10.78.0.2/24"],
    });
    await expect.poll(() => said, { timeout: 30_000 }).toContain("on later");
    expect(ask("10.78.0.1")).toBe("asked for 10.78.0.1:8000");
    script.kill("SIGKILL");
    await once(script, "exit");
    expect(() => ask("10.77.0.1")).toThrow();
    server.kill("SIGKILL");
    await once(server, "exit");
  });

  it("a transparent listener of a script behind it knows what was asked for", async () => {
    const folder = mkdtempSync(join(tmpdir(), "penstock-transparent-"));
    writeFileSync(join(folder, "main.ts"), TRANSPARENT);
    let gateway: Gateway | undefined;
    try {
      gateway = await startGateway({ args: ["--script", join(folder, "main.ts")], netns: here.path });
      const script = spawn("plugins/scripts/port-interceptor/main.ts", "8001", "127.0.0.1:9000");
      let said = "";
      script.stdout?.setEncoding("utf8").on("data", (text: string) => (said += text));
      await expect.poll(() => said, { timeout: 30_000 }).toContain("on near");
      expect(there.run("curl", "-s", "--max-time", "10", "http://10.77.0.1:8001/")).toBe("10.77.0.1:8001");
      expect(here.run("curl", "-s", "--max-time", "10", "http://127.0.0.1:9000/")).toBe("null");
      script.kill("SIGKILL");
      await once(script, "exit");
    } finally {
      await gateway?.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
