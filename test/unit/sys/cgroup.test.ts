import { expect, it } from "vitest";
import { cgroup2Root, cgroupId, isBelow } from "#sys/cgroup.ts";

it.each([
  ["cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n", "/sys/fs/cgroup"],
  [
    "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw 0 0\nnone /sys/fs/cgroup/unified cgroup2 rw 0 0\n",
    "/sys/fs/cgroup/unified",
  ],
  ["x /mnt/a\\040b cgroup2 rw 0 0\n", "/mnt/a b"],
  ["tmpfs /tmp tmpfs rw 0 0\n", null],
  ["", null],
])("mount %#: cgroup2 is where /proc/self/mounts says", (mounts, root) => {
  expect(cgroup2Root(mounts)).toBe(root);
});

it("knows what is no cgroup", () => {
  expect(cgroupId("/tmp")).toBeNull();
  expect(cgroupId("/nowhere")).toBeNull();
});

it.each([
  ["/a/b", "/a", true],
  ["/a/b/c", "/a/", true],
  ["/a", "/a", false],
  ["/ab", "/a", false],
  ["/", "/a", false],
  ["/a/..b", "/a", true],
])("%s below %s: %s", (directory, above, expected) => {
  expect(isBelow(directory, above)).toBe(expected);
});
