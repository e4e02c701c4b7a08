import { execFileSync, spawnSync } from "node:child_process";
import path from "node:path";
import { expect, it } from "vitest";
import type { KernelStatus } from "#bpf/manager/status.ts";
import { TestCgroup } from "#test/support/cgroup.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { Namespace } from "#test/support/netns.ts";

const SCRIPT = path.join(import.meta.dirname, "../support/least-privileges.ts");
const LEAST = "+bpf,+net_admin,+perfmon";
const canDrop = process.getuid?.() === 0 && spawnSync("setpriv", ["--version"]).status === 0;

describeKernel("least privileges", () => {
  it.skipIf(!canDrop)("are CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, as nobody", async () => {
    const cgroup = new TestCgroup("least");
    const namespace = new Namespace("least");
    try {
      namespace.ip("link", "add", "le0", "type", "veth", "peer", "name", "le1");
      const drop = [
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        `--inh-caps=${LEAST}`,
        `--ambient-caps=${LEAST}`,
      ];
      const command = ["setpriv", ...drop, process.execPath, SCRIPT, cgroup.directory, "le0"];
      const text = execFileSync("nsenter", [`--net=${namespace.path}`, ...command], { encoding: "utf8" });
      const found = JSON.parse(text) as {
        uid: number;
        capabilities: string[];
        objects: string[];
        originals: boolean;
        status: KernelStatus;
      };
      expect(found).toMatchObject({
        uid: 65_534,
        capabilities: ["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"],
        objects: ["balancer", "bind", "counter", "firewall", "interceptor", "splice", "steer", "trace"],
        originals: true,
      });
      expect(found.status).toMatchObject({
        maps: [{ name: "blocklist", entries: 1 }],
        interfaces: [{ device: "le0", mode: "native" }],
        steering: [{ cgroup: cgroup.directory }],
        foreign: [],
      });
    } finally {
      namespace.destroy();
      await cgroup.destroy();
    }
  });
});
