import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts", "wasm-plugins/*/test/*.test.ts"],
    // Two cores, and tests that own namespaces, cgroups and ports: one process at a time is the honest setting.
    pool: "forks",
    maxWorkers: 1,
    isolate: true,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // A condition that is waited for has come about long before, where nobody else uses the machine.
    expect: { poll: { timeout: 15_000 } },
  },
});
