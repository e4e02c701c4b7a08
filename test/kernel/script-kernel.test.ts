/** A script's kernel work, done by the supervisor: loaded, attached with the script, off with it; refusals change nothing. */
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startGateway, type Gateway } from "#test/support/gateway.ts";
import { removeLeftoverCgroups, TestCgroup } from "#test/support/cgroup.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { Namespace, removeLeftovers } from "#test/support/netns.ts";

describeKernel("kernel work of scripts", () => {
  const folder = mkdtempSync(join(tmpdir(), "penstock-script-kernel-"));
  const file = join(folder, "counter.ts");
  let [here, peer]: Namespace[] = [];
  let gateway: Gateway | null = null;

  beforeAll(() => {
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

  afterAll(async () => {
    await gateway?.stop();
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
    const { kernel } = JSON.parse((await gateway.admin("GET", "/v1/status")).body) as {
      kernel: { programs: { name: string; attachedTo: string; foreign: boolean }[] };
    };
    expect(kernel.programs).toMatchObject([{ name: "counter", attachedTo: "left xdp native", foreign: false }]);
    peer?.run(process.execPath, "-e", "require('net').connect(9, '10.9.0.1').on('error', () => {})");
    const ask = async (): Promise<unknown> =>
      JSON.parse(here?.run("curl", "-s", `http://127.0.0.1:${gateway?.port("script 127.0.0.1:0")}/`) ?? "");
    expect(await ask()).toMatchObject({ links: ["lo", "left"], entries: 1, programs: ["counter", "counter_tcx"] });

    writeFileSync(file, script('await counter.attach("counter", { device: "nowhere" })'));
    process.kill(gateway.pid, "SIGHUP");
    await said("nowhere");
    expect(attached()).toBe(true);
    expect(await ask()).toMatchObject({ entries: 1 });

    // Another program in the same place: put there in one step, and put back when the script is refused.
    const program = (): string => /prog\/xdp id (\d+)/.exec(here?.ip("link", "show", "left") ?? "")?.[1] ?? "";
    const first = program();
    const other = (more: string): string =>
      script(`await counter.attach("counter", { device: "left" })\n${more}`).replace(".fill(0xff)", ".fill(0xf0)");
    writeFileSync(file, other('await counter.attach("counter", { device: "gone" })'));
    process.kill(gateway.pid, "SIGHUP");
    await said("gone");
    expect(program()).toBe(first);
    const from = gateway.logs.length;
    writeFileSync(file, other(""));
    process.kill(gateway.pid, "SIGHUP");
    await expect.poll(() => gateway?.logs.slice(from).join("\n"), { timeout: 20_000 }).toContain("script is in force");
    expect([program() === first, attached()]).toEqual([false, true]);

    // A successor takes the place over: the device is never without a program.
    const second = program();
    await gateway.upgrade();
    expect([program() === second, attached()]).toEqual([false, true]);

    writeFileSync(file, script(""));
    process.kill(gateway.pid, "SIGHUP");
    await said("is off");
    expect(attached()).toBe(false);
  });

  it("changes the network, says so in the log, and tells a script why not", async () => {
    writeFileSync(file, NETWORK_SCRIPT);
    const from = gateway?.logs.length ?? 0;
    process.kill(gateway?.pid ?? 0, "SIGHUP");
    await expect.poll(() => gateway?.logs.slice(from).join("\n"), { timeout: 20_000 }).toContain("script is in force");
    const ask = (port: number, body: object = {}): string =>
      here?.run("curl", "-s", "--data", JSON.stringify(body), `http://127.0.0.1:${port}/`) ?? "";
    const change = (verb: string, kind: string, value: object): string => ask(8001, { verb, kind, value });

    const route = { destination: "198.51.100.0/24", gateway: "10.9.0.2", metric: 7 };
    expect(change("add", "route", route)).toBe("done");
    expect(here?.ip("route")).toContain("198.51.100.0/24 via 10.9.0.2 dev left proto static metric 7");
    await said("the script changes the network: add route");
    expect(change("add", "route", route)).toContain("EEXIST");
    expect(change("remove", "route", { destination: route.destination })).toBe("done");
    expect(here?.ip("route")).not.toContain("198.51.100.0");
    expect(change("add", "route", { destination: "203.0.113.0/24", type: "blackhole" })).toBe("done");
    expect(here?.ip("route")).toContain("blackhole 203.0.113.0/24");

    expect(change("add", "address", { device: "left", address: "10.9.0.77/24" })).toBe("done");
    expect(here?.ip("addr", "show", "left")).toContain("inet 10.9.0.77/24");
    expect(change("remove", "address", { device: "left", address: "10.9.0.77/24" })).toBe("done");
    const neighbour = { device: "left", address: "10.9.0.9", hardwareAddress: "02:00:00:00:00:09" };
    expect(change("replace", "neighbour", neighbour)).toBe("done");
    expect(here?.ip("neigh")).toContain("10.9.0.9 dev left lladdr 02:00:00:00:00:09 PERMANENT");
    expect(change("link", "left", { mtu: 1400 })).toBe("done");
    expect(here?.ip("link", "show", "left")).toContain("mtu 1400");

    for (const [verb, kind, value, why] of [
      [
        "add",
        "route",
        { destination: "198.51.100.0/24", gw: "10.9.0.2" },
        'route.gw: Invalid key: Expected never but received "gw"',
      ],
      ["add", "route", { destination: "198.51.100.0/33" }, "198.51.100.0/33"],
      ["add", "route", { destination: "198.51.100.0/24", device: "gone" }, 'there is no device "gone"'],
      ["add", "address", { device: "left", address: "10.9.0.5" }, "with its prefix length"],
      ["add", "neighbour", { device: "left", address: "10.9.0.5" }, "hardwareAddress is missing"],
      ["add", "weather", {}, "there are address, route and neighbour"],
      ["link", "left", { mtu: "big" }, 'link.mtu: Invalid type: Expected number but received "big"'],
    ] as const)
      expect(change(verb, kind, value)).toContain(why);

    // One message for each link, and NLMSG_DONE.
    expect(ask(8002)).toBe("16 16 3");
    expect(ask(8003)).toContain("500");
    await said("message 19: lists and changes of addresses, routes and neighbours");
  });

  it("steers datagrams of a cgroup to a script, each session to where it wanted to go", async () => {
    removeLeftoverCgroups();
    const cgroup = new TestCgroup("datagrams");
    const echo = here?.spawn(process.execPath, "-e", ECHO);
    try {
      let ready = "";
      echo?.stdout?.setEncoding("utf8").on("data", (text: string) => (ready += text));
      await expect.poll(() => ready, { timeout: 20_000 }).toBe("ready\n");
      writeFileSync(file, DATAGRAM_SCRIPT.replace("CGROUP", cgroup.directory));
      const from = gateway?.logs.length ?? 0;
      process.kill(gateway?.pid ?? 0, "SIGHUP");
      await expect
        .poll(() => gateway?.logs.slice(from).join("\n"), { timeout: 20_000 })
        .toContain("script is in force");
      const ask = async (host: string): Promise<string> =>
        (await cgroup.run("ip", "netns", "exec", here?.name ?? "", process.execPath, "-e", ASK, host)).stdout;
      expect(await ask("127.0.0.1")).toBe("127.0.0.1:7007 HELLO");
      expect(await ask("::1")).toBe("[::1]:7007 HELLO");
      expect(here?.run(process.execPath, "-e", ASK, "127.0.0.1")).toBe("hello");
      const metrics = (await gateway?.admin("GET", "/metrics"))?.body;
      expect(metrics).toMatch(/penstock_kernel_steering_connects_total\{.*outcome="redirected",of="script"\} [1-9]/);
      expect(metrics?.match(/# TYPE penstock_kernel_steering_connects /g)).toHaveLength(1);
    } finally {
      echo?.kill("SIGKILL");
      await cgroup.destroy();
    }
  });
});

/** RTM_GETLINK with NLM_F_DUMP, and RTM_SETLINK, over netlink; and whatever is asked for. */
const NETWORK_SCRIPT = `import { kernel, listen, Message } from "penstock"
listen(8001, $ => $.serveHTTP(async msg => {
  const { verb, kind, value } = msg.json()
  try {
    if (verb === "add") await kernel.add(kind, value)
    if (verb === "replace") await kernel.replace(kind, value)
    if (verb === "remove") await kernel.remove(kind, value)
    if (verb === "link") await kernel.setLink(kind, value)
    return new Message({}, "done")
  } catch (error) {
    return new Message({}, error.message)
  }
}))
const ask = (type, flags) => $ => $
  .replaceMessage(() => new Message({ type, flags }, new Uint8Array(16)))
  .connect("route", { protocol: "netlink" })
  .replaceMessage((answer, ctx) => {
    ctx.types = [...(ctx.types ?? []), answer.head.type]
    return answer.head.type < 4 ? new Message({ status: 200 }, ctx.types.join(" ")) : undefined
  })
listen(8002, $ => $.demuxHTTP().to(ask(18, 0x301)))
listen(8003, $ => $.demuxHTTP().to(ask(19, 5)))
`;

/** An echo of datagrams on both loopbacks. */
const ECHO = `
const dgram = require("node:dgram")
let open = 0
for (const [family, address] of [["udp4", "127.0.0.1"], ["udp6", "::1"]]) {
  const socket = dgram.createSocket(family, (bytes, from) => socket.send(bytes, from.port, from.address))
  socket.bind(7007, address, () => ++open === 2 && console.log("ready"))
}`;

/** Asks again until it is answered: a datagram may be lost. */
const ASK = `
const [host] = process.argv.slice(1)
const socket = require("node:dgram").createSocket(host.includes(":") ? "udp6" : "udp4", bytes => {
  process.stdout.write(String(bytes), () => process.exit())
})
const ask = () => socket.send("hello", 7007, host)
setInterval(ask, 500)
ask()`;

const DATAGRAM_SCRIPT = `import { listen } from "penstock"
listen("127.0.0.1:8005", { protocol: "udp", steer: { cgroup: "CGROUP", ports: [7007] } }, $ => $
  .connect(ctx => ctx.inbound.originalDestination, { protocol: "udp" })
  .replaceData((data, ctx) => \`\${ctx.inbound.originalDestination} \${String(data).toUpperCase()}\`))
`;
