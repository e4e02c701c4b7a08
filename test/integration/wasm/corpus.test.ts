/** The corpus of hostile modules, each by itself: refused with the place and the reason, or its call ended in time with the cause. */
import { describe, expect, it } from "vitest";
import { PenstockError } from "#core/errors.ts";
import { CONTINUE, REPLY } from "#pipeline/filter.ts";
import { TestExchange } from "#test/support/wasm.ts";
import { type HostileModule, wasmCorpus } from "#test/support/wasm-corpus.ts";
import { DEFAULT_MODULE_LIMITS, prepareModule } from "#wasm/prepare.ts";
import { fromWasm } from "./plugins.ts";

/** As the builder's. */
const LIMITS = { ...DEFAULT_MODULE_LIMITS, bytesMax: 4 << 20, memoryPagesMax: 4096 };
const corpus = wasmCorpus();

function refusal(module: HostileModule): string {
  const bytes = module.bytes();
  try {
    prepareModule(bytes, LIMITS);
    return "accepted";
  } catch (error) {
    if (error instanceof PenstockError) return `${error.code} ${error.message}`;
    throw error;
  }
}

it("is large enough, and has all kinds", () => {
  expect(corpus.length).toBeGreaterThanOrEqual(100);
  expect(new Set(corpus.map(({ outcome }) => outcome)).size).toBe(6);
});

describe("refused, with the place and the reason", () => {
  for (const module of corpus.filter(({ outcome }) => outcome === "refused")) {
    it(module.name, () => {
      const reason = refusal(module);
      expect(reason).toMatch(/^PENSTOCK_WASM_(INVALID|REFUSED|LIMIT|INTERFACE) .*at byte \d+/s);
      expect(reason).toMatch(module.detail);
    });
  }
});

describe("accepted, and refused where it is to run", () => {
  for (const module of corpus.filter(({ outcome }) => outcome === "unconfigured")) {
    it(module.name, async () => {
      expect(refusal(module)).toBe("accepted");
      await expect(fromWasm(module.bytes())).rejects.toThrow(module.detail);
    });
  }
});

/** Those that need a gateway around them are run in one: test/e2e/hostile.test.ts. */
const alone = corpus.filter((one) => one.with === null && one.outcome !== "refused" && one.outcome !== "unconfigured");

describe("accepted, and ended when they run", () => {
  for (const module of alone) {
    it(module.name, async () => {
      const { filter } = await fromWasm(module.bytes());
      const exchange = new TestExchange();
      const asked = filter.requestHead(exchange, 0);
      const answered = filter.responseHead(exchange.respondWith(), 0);
      filter.end(exchange, 0);
      if (module.outcome === "passes") {
        expect([asked, answered, filter.stats.faults]).toEqual([CONTINUE, CONTINUE, 0]);
        return;
      }
      if (module.outcome === "fault") expect([asked, answered]).toContain(REPLY);
      expect(filter.stats.lastFault?.cause).toMatch(module.detail);
    });
  }
});
