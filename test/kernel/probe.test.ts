import { spawnSync } from "node:child_process";
import { expect, it } from "vitest";
import { probeKernel, type Probe } from "#bpf/manager/probe.ts";
import { describeKernel } from "#test/support/kernel.ts";

const SCRIPT = `
  import { probeKernel, requireKernel } from "#bpf/manager/probe.ts";
  process.setgid(65534); process.setuid(65534);
  let refusal = "";
  try { requireKernel(); } catch (error) { refusal = error.code; }
  process.stdout.write(JSON.stringify({ probes: probeKernel(), refusal }));`;

/** bpffs is not mounted everywhere, and not needed; sysctls are the operator's to set, for services and SYN cookies only. */
const OPTIONAL = ["bpffs", "IP forwarding", "SYN cookies in XDP"];

describeKernel("probe", () => {
  it("finds everything that this product attaches", () => {
    const missing = probeKernel().filter((each) => !each.available);
    expect(missing.map((each) => each.feature).filter((feature) => !OPTIONAL.includes(feature))).toEqual([]);
  });
});

it.skipIf(process.getuid?.() !== 0)("is safe without privileges, and says what is done instead", () => {
  const { stdout, status } = spawnSync(process.execPath, ["--input-type=module", "-e", SCRIPT], { encoding: "utf8" });
  expect(status).toBe(0);
  const { probes, refusal } = JSON.parse(stdout) as { probes: Probe[]; refusal: string };
  expect(refusal).toBe("PENSTOCK_BPF_UNAVAILABLE");
  const find = (feature: string): Probe | undefined => probes.find((each) => each.feature === feature);
  expect(find("kernel version")?.available).toBe(true);
  expect(find("capabilities")).toMatchObject({
    available: false,
    detail: "CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON missing",
  });
  for (const feature of ["XDP", "cgroup connect and sockops"]) {
    expect(find(feature)?.available).toBe(false);
    expect(find(feature)?.detail).toMatch(/EPERM/);
  }
  for (const probe of probes) expect(probe.instead.length).toBeGreaterThan(0);
});
