import { afterEach, beforeEach, expect, it } from "vitest";
import { inNetworkNamespace } from "#sys/netns.ts";
import { Collection } from "#bpf/kernel/collection.ts";
import { committedSpec } from "#bpf/kernel/objects.ts";
import { attachTc } from "#bpf/kernel/tcx.ts";
import { Rtnetlink } from "#bpf/netlink/rtnetlink.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { Namespace, removeLeftovers } from "#test/support/netns.ts";

describeKernel("clsact", () => {
  let here: Namespace;
  let netlink: Rtnetlink;
  let program: Collection;
  let other: Collection;
  let index = 0;
  const load = (): Collection => Collection.load(committedSpec("counter"), { programs: ["counter_tcx"] });
  const inside = <T>(make: () => T): T => inNetworkNamespace(here.path, make);

  beforeEach(() => {
    removeLeftovers();
    here = new Namespace("clsact");
    netlink = inside(() => new Rtnetlink());
    netlink.addLink({ kind: "veth", name: "left", peer: { name: "right" } });
    index = netlink.link("left")?.index ?? expect.fail("no link");
    program = load();
    other = load();
  });
  afterEach(() => {
    netlink.close();
    program.close();
    other.close();
    here.destroy();
  });

  it.each(["ingress", "egress"] as const)("holds a program on %s, replaces it in place, and goes with it", (way) => {
    const [first, second] = [program.program("counter_tcx"), other.program("counter_tcx")];
    const attachment = inside(() => attachTc(first, "left", index, way, "clsact"));
    expect(attachment).toMatchObject({ kind: "clsact", device: "left" });
    expect(netlink.hasClsact(index)).toBe(true);
    const place = { index, direction: way, name: "penstock_counter_tcx", handle: 1 };
    expect(netlink.filters(index, way)).toMatchObject([{ ...place, programId: first.info().id }]);
    expect(netlink.filters(index, way === "ingress" ? "egress" : "ingress")).toEqual([]);
    attachment.update(second, first);
    expect(netlink.filters(index, way)).toMatchObject([{ ...place, programId: second.info().id }]);
    attachment.close();
    expect(netlink.hasClsact(index)).toBe(false);
  });

  it("leaves another's filter and clsact where they are", () => {
    const mine = program.program("counter_tcx");
    netlink.addClsact(index);
    const theirs = { index, direction: "ingress" as const, priority: 7, handle: 3, name: "theirs", program: mine.fd };
    netlink.addFilter(theirs);
    inside(() => attachTc(mine, "left", index, "ingress", "clsact")).close();
    expect(netlink.filters(index, "ingress")).toMatchObject([{ priority: 7, handle: 3, name: "theirs" }]);
    netlink.deleteFilter(theirs);
    netlink.deleteClsact(index);
  });

  it("takes over what a killed process left", () => {
    const [first, second] = [program.program("counter_tcx"), other.program("counter_tcx")];
    inside(() => attachTc(first, "left", index, "ingress", "clsact"));
    const next = inside(() => attachTc(second, "left", index, "ingress", "clsact"));
    expect(netlink.filters(index, "ingress")).toMatchObject([{ programId: second.info().id }]);
    next.close();
    expect(netlink.filters(index, "ingress")).toEqual([]);
  });

  it("takes TCX where there is one", () => {
    const attachment = inside(() => attachTc(program.program("counter_tcx"), "left", index, "ingress"));
    expect(attachment.kind).toBe("tcx");
    expect(netlink.hasClsact(index)).toBe(false);
    attachment.close();
  });

  it("refuses in the kernel's words", () => {
    const key = { index, direction: "ingress", priority: 1, handle: 1 } as const;
    expect(() => netlink.deleteFilter(key)).toThrow(/PENSTOCK_BPF_NETLINK|filter|EINVAL|ENOENT/);
    netlink.addClsact(index);
    expect(() => netlink.addClsact(index)).toThrow(/EEXIST.*Exclusivity/);
    expect(() =>
      netlink.addFilter({ ...key, priority: 0, program: program.program("counter_tcx").fd, name: "x" }),
    ).toThrow(/priority 0/);
  });
});
