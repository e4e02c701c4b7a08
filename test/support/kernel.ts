/** Suites that need the kernel part: run where it is, skipped with the reason where it is not. */
import fs from "node:fs";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { requireKernel } from "#bpf/manager/probe.ts";

const missing: string | null = (() => {
  try {
    requireKernel();
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
})();

/**
 * A suite at whose end this process must hold no program, link or map any more. Nothing is pinned, so what has no
 * descriptor is gone; other processes' programs (another gateway on this machine) are none of the suite's business.
 */
export function describeKernel(name: string, suite: () => void): void {
  if (missing !== null) {
    process.stdout.write(`skipped: ${name}: ${missing}\n`);
    describe.skip(`${name} (${missing})`, suite);
    return;
  }
  describe(name, () => {
    let before: string[] = [];
    beforeAll(() => {
      before = bpfDescriptors();
    });
    suite();
    afterAll(() => {
      expect(bpfDescriptors()).toEqual(before);
    });
  });
}

/** What of the kernel's BPF objects this process holds: `bpf-prog`, `bpf-map`, `bpf_link`, `btf`. */
function bpfDescriptors(): string[] {
  return fs
    .readdirSync("/proc/self/fd")
    .map((fd) => {
      try {
        return fs.readlinkSync(`/proc/self/fd/${fd}`);
      } catch {
        // The descriptor that the folder was read through is gone by now.
        return "";
      }
    })
    .filter((target) => /^anon_inode:.*(bpf|btf)/.test(target))
    .toSorted();
}
