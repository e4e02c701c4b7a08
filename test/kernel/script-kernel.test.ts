/** A script's kernel work, done by the supervisor: loaded, attached with the script, off with it; refusals change nothing. */
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { startGateway, type Gateway } from "#test/support/gateway.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { Namespace, removeLeftovers } from "#test/support/netns.ts";

describeKernel("kernel work of scripts", () => {
  const folder = mkdtempSync(join(tmpdir(), "penstock-script-kernel-"));
  const file = join(folder, "counter.ts");
  let [here, peer]: Namespace[] = [];
  let gateway: Gateway | null = null;

  beforeEach(() => {
    removeLeftovers();
    here = new Namespace("script");
    peer = new Namespace("peer");
    here.ip("link", "add", "left", "type", "veth", "peer", "name", "right", "netns", peer.name);
    here.ip("addr", "add", "10.9.0.1/24", "dev", "left");
    here.ip("link", "set", "left", "up");
    peer.ip("addr", "add", "10.9.0.2/24", "dev", "right");
    peer.ip("link", "set", "right", "up");
    copyFileSync("bpf/obj/counter.o", join(folder, "counter.o"));
  });

  afterEach(async () => {
    await gateway?.stop();
    gateway = null;
    here?.destroy();
    peer?.destroy();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Answers what the counter knows, or with `attach` empty only that it runs. */
  const script = (attach: string): string => `import { kernel, listen, Message } from "penstock"
const counter = await kernel.object("./counter.o", { globals: { counter_config: new Uint8Array(24).fill(0xff) } })
${attach}
listen("127.0.0.1:0", $ => $.serveHTTP(async msg => {
  const links = await kernel.list("links")
  const entries = await counter.map("counter_sources").entries(10)
  return new Message({}, JSON.stringify({ links: links.map(one => one.name), entries: entries.length, programs: counter.programs }))
}))
`;

  async function said(text: string): Promise<void> {
    for (let i = 0; i < 1000 && gateway?.logs.some((line) => line.includes(text)) === false; i++) await sleep(20);
    expect(gateway?.logs.join("\n")).toContain(text);
  }

  const attached = (): boolean => here?.ip("link", "show", "left").includes("xdp") === true;

  it("is loaded, attached, read, taken off", async () => {
    writeFileSync(file, script('await counter.attach("counter", { device: "left" })'));
    gateway = await startGateway({ args: ["--script", file], netns: here?.path ?? "", workers: 2, timeoutMs: 60_000 });
    expect(attached()).toBe(true);
    peer?.run(process.execPath, "-e", "require('net').connect(9, '10.9.0.1').on('error', () => {})");
    const ask = async (): Promise<unknown> =>
      JSON.parse(here?.run("curl", "-s", `http://127.0.0.1:${gateway?.port("script 127.0.0.1:0")}/`) ?? "");
    expect(await ask()).toMatchObject({ links: ["lo", "left"], entries: 1, programs: ["counter", "counter_tcx"] });

    writeFileSync(file, script('await counter.attach("counter", { device: "nowhere" })'));
    process.kill(gateway.pid, "SIGHUP");
    await said("nowhere");
    expect(attached()).toBe(true);
    expect(await ask()).toMatchObject({ entries: 1 });

    writeFileSync(file, script(""));
    process.kill(gateway.pid, "SIGHUP");
    await said("is off");
    expect(attached()).toBe(false);
  });
});
