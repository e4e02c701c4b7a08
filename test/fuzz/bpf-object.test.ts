/**
 * Damaged object files: every one gives a whole spec or a PENSTOCK_BPF_OBJECT error, never another exception, and never
 * takes long. The canary proves that the harness would notice.
 */
import fs from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { PenstockError } from "#core/errors.ts";
import { runs, seed } from "#test/support/fuzzing.ts";
import { readSpec } from "#bpf/spec/read.ts";
import { writeBtf } from "#bpf/btf/write.ts";

const ROOT = path.join(import.meta.dirname, "../..");
const SEEDS = ["bpf/obj/firewall.o", "test/support/bpf/obj/loader.o", "test/support/bpf/obj/refused.o"];
const ROUNDS = runs(1500);
/** Of the processor's time, which does not depend on who else uses it. */
const SLOW_US = 1_000_000;

/** xorshift32: the same damage in every run. */
function random(first: number): (bound: number) => number {
  let state = first;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
}

const INTERESTING = [0, 1, 0x7f, 0x80, 0xff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

function damage(bytes: Buffer, pick: (bound: number) => number): Buffer {
  const damaged = Buffer.from(bytes);
  for (let i = pick(6) + 1; i > 0; i--) {
    const at = pick(damaged.length - 4);
    switch (pick(5)) {
      case 0:
        damaged[at] = (damaged[at] as number) ^ (1 << pick(8));
        break;
      case 1:
        damaged[at] = pick(256);
        break;
      case 2:
        damaged.writeUInt32LE((INTERESTING[pick(INTERESTING.length)] as number) >>> 0, at);
        break;
      case 3:
        damaged.copy(damaged, at, pick(damaged.length), damaged.length);
        break;
      default:
        return damaged.subarray(0, pick(damaged.length));
    }
  }
  return damaged;
}

/** What happened: "spec", "refused", or what must not happen. */
function outcome(read: (bytes: Buffer) => unknown, bytes: Buffer): string {
  const start = process.cpuUsage();
  const inTime = (found: string): string => (process.cpuUsage(start).user > SLOW_US ? "slow" : found);
  try {
    read(bytes);
    return inTime("spec");
  } catch (error) {
    if (error instanceof PenstockError && error.code === "PENSTOCK_BPF_OBJECT") return inTime("refused");
    return String(error);
  }
}

function readWhole(bytes: Buffer): void {
  const spec = readSpec(bytes);
  if (spec.btf !== null) writeBtf(spec.btf);
}

it.each(SEEDS)("damage to %s", (file) => {
  const original = fs.readFileSync(path.join(ROOT, file));
  const pick = random(seed(0x5eed));
  const seen: Record<string, number> = {};
  for (let round = 0; round < ROUNDS; round++) {
    const bytes = damage(original, pick);
    const found = outcome(readWhole, bytes);
    seen[found] = (seen[found] ?? 0) + 1;
    if (found !== "spec" && found !== "refused") throw new Error(`round ${round}: ${found}`);
  }
  // Both must happen, or the damage is not what it should be.
  expect(seen["spec"]).toBeGreaterThan(0);
  expect(seen["refused"]).toBeGreaterThan(ROUNDS / 10);
});

it("sees a reader that crashes (canary)", () => {
  const crash = (): never => {
    throw new RangeError("out of bounds");
  };
  expect(outcome(crash, Buffer.alloc(0))).toContain("RangeError");
});
