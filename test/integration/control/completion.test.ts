/** What shells complete, asked of the shells themselves where they are installed. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { defined } from "#core/assert.ts";
import { UsageError } from "#main/cli/verb.ts";
import { VERBS } from "#main/cli/verbs.ts";

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), "penstock-completion-"))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function script(shell: string): Promise<string> {
  let text = "";
  const out = {
    print: (one: string) => void (text += `${one}\n`),
    note() {},
    json: false,
    progress: () => undefined,
    interactive: false,
    width: 80,
  };
  await defined(VERBS["completion"], "the verb").run({ positionals: [shell], values: {} }, out, {
    env: {},
    cwd: "/",
    dataDir: "/",
  });
  return text;
}

const installed = (shell: string) => spawnSync(shell, ["--version"]).status === 0;

async function file(shell: string): Promise<string> {
  const path = join(folder, `penstock.${shell}`);
  writeFileSync(path, await script(shell));
  return path;
}

describe("bash", () => {
  async function completed(...words: string[]): Promise<string[]> {
    const path = await file("bash");
    const given = words.map((word) => `'${word}'`).join(" ");
    const asks = `set -eu; . ${path}; COMP_WORDS=(penstock ${given}); COMP_CWORD=${words.length}; _penstock; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = spawnSync("bash", ["-c", asks], { encoding: "utf8" });
    expect(stderr).toBe("");
    return stdout.split("\n").filter((line) => line !== "");
  }

  it.each<[string[], string[]]>([
    [["ro"], ["rollback"]],
    [["do"], ["doctor"]],
    [
      ["token", ""],
      ["create", "ls", "revoke"],
    ],
    [["get", "li"], ["listeners"]],
    [["audit", "v"], ["verify"]],
    [["completion", "f"], ["fish"]],
    [["token", "create", "--sc"], ["--scope"]],
    [["token", "create", "cr"], []],
    [["run", "--wor"], ["--workers"]],
    [["nothing", "x"], []],
  ])("%j: %j", async (words, expected) => {
    const found = await completed(...words);
    expect(found.filter((word) => words.at(-1) !== "" || !word.startsWith("--"))).toEqual(expected);
  });
});

it.for(["zsh", "fish"])("%s reads its script without an error", async (shell, { skip }) => {
  const text = await script(shell);
  for (const verb of ["run", "doctor", ...Object.keys(VERBS)]) expect(text).toContain(verb);
  if (!installed(shell)) skip(`${shell} is not installed here`);
  const { status, stderr } = spawnSync(shell, ["-n", await file(shell)], { encoding: "utf8" });
  expect([status, stderr]).toEqual([0, ""]);
});

it("of another shell is wrong use", async () => {
  await expect(script("csh")).rejects.toBeInstanceOf(UsageError);
  await expect(script("constructor")).rejects.toBeInstanceOf(UsageError);
});
