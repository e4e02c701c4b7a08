import { describe, expect, it } from "vitest";
import { attachHint, isOlder, missingMapKind, missingProgramKind } from "#bpf/kernel/since.ts";

describe("what a kernel lacks", () => {
  it.each([
    ["6.1.0-18-amd64", "6.4", true],
    ["6.4.0", "6.4", false],
    ["6.18.5", "6.6", false],
    ["5.4", "5.10", true],
    ["10.0", "6.6", false],
  ])("%s against %s", (release, since, older) => {
    expect(isOlder(release, since)).toBe(older);
  });

  it.each([
    [30, "5.15.0", "bloom filter maps came with Linux 5.16, this is 5.15.0"],
    [30, "5.16.0", null],
    [1, "5.17.0", null],
    [99, "6.18.0", "map type 99: not known to this loader"],
  ])("map type %i on %s", (type, release, words) => {
    expect(missingMapKind(type, release)).toBe(words);
  });

  it.each([
    [32, 45, "6.1.0", "netfilter programs came with Linux 6.4, this is 6.1.0"],
    [3, 46, "6.1.0", "tcx/ingress programs came with Linux 6.6, this is 6.1.0"],
    [3, 46, "6.6.0", null],
    [18, 49, "6.6.0", "cgroup/connect_unix programs came with Linux 6.7, this is 6.6.0"],
    [77, 0, "6.6.0", "program type 77: not known to this loader"],
  ])("program type %i for %i on %s", (type, attachType, release, words) => {
    expect(missingProgramKind(type, attachType, release)).toBe(words);
  });

  it("struct_ops is left out with a reason", () => {
    expect(missingMapKind(26)).toMatch(/gateway has no business/);
  });

  it.each([
    [24, 524, /ftrace/],
    [27, 22, /lsm=/],
    [23, 2, /no tracepoint/],
    [10, 22, /^$/],
  ])("attach type %i and errno %i", (attachType, errno, words) => {
    expect(attachHint(attachType, errno) ?? "").toMatch(words);
  });
});
