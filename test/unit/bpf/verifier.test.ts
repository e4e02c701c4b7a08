import { expect, it } from "vitest";
import { relevantLines, VerifierError } from "#bpf/kernel/verifier.ts";

const LOG = [
  "func#0 @0",
  "0: R1=ctx() R10=fp0",
  "; return *(__u8 *)(long)ctx->data; @ refused.bpf.c:14",
  "0: (61) r1 = *(u32 *)(r1 +0)",
  "1: (71) r0 = *(u8 *)(r1 +0)",
  "R1 offset is outside of the packet",
  "processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0",
  "",
].join("\n");

it("leads with the reason, then with what led to it", () => {
  expect(relevantLines(LOG)).toEqual([
    "R1 offset is outside of the packet",
    "0: R1=ctx() R10=fp0",
    "; return *(__u8 *)(long)ctx->data; @ refused.bpf.c:14",
    "0: (61) r1 = *(u32 *)(r1 +0)",
    "1: (71) r0 = *(u8 *)(r1 +0)",
  ]);
  expect(relevantLines("")).toEqual([]);
});

it("keeps the whole log", () => {
  const error = new VerifierError("firewall", 13, LOG);
  expect(error.log).toBe(LOG);
  expect(error.message).toMatch(/^the kernel's verifier refused a program: firewall \(EACCES\): R1 offset/);
  expect(new VerifierError("firewall", 1, "").message).toBe(
    "the kernel's verifier refused a program: firewall (EPERM)",
  );
});
