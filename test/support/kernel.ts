/** Suites that need the kernel part: run where it is, skipped with the reason where it is not. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { objectIds, openById } from "#bpf/kernel/ids.ts";
import { closeFd } from "#bpf/kernel/call.ts";
import { programInfo } from "#bpf/kernel/program.ts";
import { requireKernel } from "#bpf/kernel/probe.ts";

const missing: string | null = (() => {
  try {
    requireKernel();
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
})();

/** Programs of this product, by the names their objects give them (cut to 15 characters by the kernel). */
const OURS = /^(steer_|firewall)/;

/**
 * A suite that must leave no program of ours behind. Releasing is deferred in the kernel (RCU), so the check waits a
 * moment.
 */
export function describeKernel(name: string, suite: () => void): void {
  if (missing !== null) {
    process.stdout.write(`skipped: ${name}: ${missing}\n`);
    describe.skip(`${name} (${missing})`, suite);
    return;
  }
  describe(name, () => {
    let before: number[] = [];
    beforeAll(() => {
      before = ourPrograms();
    });
    suite();
    afterAll(async () => {
      const left = (): number[] => ourPrograms().filter((id) => !before.includes(id));
      for (let i = 0; left().length > 0 && i < 100; i++) await sleep(20);
      expect(left()).toEqual([]);
    });
  });
}

/** Ids of programs of this product that the kernel holds. */
export function ourPrograms(): number[] {
  return objectIds("program").filter((id) => {
    const fd = openById("program", id);
    if (fd === null) return false;
    try {
      return OURS.test(programInfo(fd).name);
    } finally {
      closeFd(fd);
    }
  });
}
