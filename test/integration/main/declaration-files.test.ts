/** A declaration of many files: a folder, files that include others, what stands in the environment and in secrets' files. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readDeclarationFiles } from "#main/cli/declaration-files.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "penstock-files-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
}

const read = (path: string, env: Readonly<Record<string, string>> = {}) => readDeclarationFiles(path, folder, env);

test("files include others, each relative to the one that names it, each once", () => {
  write({
    "main.yaml": "include: [tenants/*.yaml, shared.yaml, nothing-yet/*.yaml]\nlisteners:\n  - name: web\n",
    "shared.yaml": "include: [tenants/acme.yaml, main.yaml]\nsettings: { drainMs: 1 }\n",
    "tenants/acme.yaml": "include: [../routes/orders.yaml]\ntenants:\n  - name: acme\n",
    "tenants/bravo.yaml": "tenants:\n  - name: bravo\n",
    "routes/orders.yaml": "routes:\n  - name: orders\n    tenant: acme\n",
  });
  const { sources, folders } = read("main.yaml");
  expect(sources.findings).toEqual([]);
  expect(sources.data).toEqual({
    listeners: [{ name: "web" }],
    tenants: [{ name: "acme" }, { name: "bravo" }],
    settings: { drainMs: 1 },
    routes: [{ name: "orders", tenant: "acme" }],
  });
  expect(sources.fileOf("/routes/0")).toBe("routes/orders.yaml");
  expect([...folders]).toEqual(expect.arrayContaining([folder, join(folder, "tenants"), join(folder, "routes")]));
});

test("what is to be included must be there", () => {
  write({ "main.yaml": "listeners: []\ninclude:\n  - missing.yaml\n" });
  expect(() => read("main.yaml")).toThrow(/main\.yaml:3:5: there is no missing\.yaml to include/);
  write({ "main.yaml": "include: tenants.yaml\n" });
  expect(read("main.yaml").sources.findings).toMatchObject([
    { pointer: "/include", detail: "expected a list of files" },
  ]);
});

test("secrets come from files beside the one that names them, and from the environment", () => {
  write({
    "main.yaml": "include: [tenants/acme.yaml]\nsettings: { accessLog: text }\n",
    "tenants/acme.yaml": "routes:\n  - { name: a, key: '${file:keys/one}', at: '${HOST}', in: '${file:gone}' }\n",
    "tenants/keys/one": "s3cret\n",
  });
  const { sources, variables, folders } = read("main.yaml", { HOST: "here" });
  expect(sources.findings).toMatchObject([{ at: "tenants/acme.yaml:2:60" }]);
  expect(Object.fromEntries(variables)).toEqual({
    "tenants/acme.yaml\nfile:keys/one": "s3cret",
    "tenants/acme.yaml\nHOST": "here",
  });
  expect(folders).toContain(join(folder, "tenants/keys"));
});
