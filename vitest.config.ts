/**
 * Two projects, which `npm test` runs beside each other. `machine` holds tests that own namespaces, cgroups, ports and whole
 * gateways: one file at a time is the honest setting, and much of their time they wait. `aside` holds those that
 * own nothing but their process, and fills that time. Run by themselves (`vitest run test/unit`) they take turns.
 */
import { defineConfig } from "vitest/config";

const ASIDE = [
  "test/unit/**/*.test.ts",
  "test/fuzz/**/*.test.ts",
  "test/lint/**/*.test.ts",
  "test/sim/**/*.test.ts",
  "test/integration/wasm/**/*.test.ts",
  "wasm-plugins/*/test/*.test.ts",
];

export default defineConfig({
  test: {
    pool: "forks",
    maxWorkers: 1,
    isolate: true,
    // What is waited for comes about long before, where nobody else uses the machine.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 15_000 } },
    projects: [
      { extends: true, test: { name: "machine", include: ["test/**/*.test.ts"], exclude: ASIDE } },
      { extends: true, test: { name: "aside", include: ASIDE } },
    ],
  },
});
