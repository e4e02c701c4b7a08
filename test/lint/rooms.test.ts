/** The import rules are alive: a fixture that breaks each of them is flagged, and every room has one. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");
const config = JSON.parse(readFileSync(join(root, ".oxlintrc.json"), "utf8")) as {
  readonly overrides: readonly {
    readonly files: readonly string[];
    readonly rules: Readonly<Record<string, unknown>>;
  }[];
};

interface Diagnostic {
  readonly filename: string;
  readonly code: string;
  readonly message: string;
  readonly severity: string;
}

let folder = "";
let found: Diagnostic[] = [];

// Beside a copy of the configuration, so that its patterns mean the fixture's folders as they mean ours.
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "penstock-lint-"));
  cpSync(join(import.meta.dirname, "fixture"), folder, { recursive: true });
  for (const name of [".oxlintrc.json", "package.json"]) cpSync(join(root, name), join(folder, name));
  const { stdout, status } = spawnSync(join(root, "node_modules/.bin/oxlint"), ["--format", "json"], {
    cwd: folder,
    encoding: "utf8",
  });
  expect(status).toBe(1);
  found = (JSON.parse(stdout) as { diagnostics: Diagnostic[] }).diagnostics;
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each([
  ["gateway/http/reaches-out.ts", "no-restricted-imports", "#sys/process.ts"],
  ["gateway/http/reaches-out.ts", "no-restricted-imports", "node:net"],
  ["gateway/core/native.ts", "no-restricted-imports", "koffi"],
  ["gateway/core/native.ts", "no-restricted-imports", "../http/circle-a.ts"],
  ["gateway/http/circle-a.ts", "no-cycle", ""],
  ["gateway/http/circle-b.ts", "no-cycle", ""],
])("%s: %s %s", (file, rule, what) => {
  const hits = found.filter(({ filename, code, message, severity }) => {
    return filename === file && code.includes(rule) && message.includes(what) && severity === "error";
  });
  expect(hits.length, JSON.stringify(found, null, 2)).toBeGreaterThan(0);
});

test("nothing else is flagged: the fixture breaks these rules and no other", () => {
  expect(found).toHaveLength(6);
});

const rooms = readdirSync(join(root, "gateway"), { withFileTypes: true }).filter((entry) => entry.isDirectory());

test.each([...rooms.map(({ name }) => `gateway/${name}`), "bpf", "plugins", "sdk"])("%s has a rule", (room) => {
  const rule = config.overrides.find(({ files }) => files.includes(`${room}/**`));
  expect(rule?.rules["no-restricted-imports"]).toBeDefined();
});
