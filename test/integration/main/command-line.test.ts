/** The dispatcher as a program: verbs, help, exit codes. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { thisInstallation } from "#main/confine/installation.ts";

const { root } = thisInstallation();
const folder = mkdtempSync(join(tmpdir(), "penstock-cli-"));
writeFileSync(join(folder, "file"), "");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function penstock(...args: string[]): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--no-warnings", join(root, "gateway/main/penstock.ts"), ...args],
    {
      encoding: "utf8",
      timeout: 20_000,
    },
  );
  return { code: status, out: stdout, err: stderr };
}

test.each([
  [["help"], 0, /run +start a gateway/],
  [[], 0, /penstock VERB/],
  [["run", "--help"], 0, /--workers N/],
  [["help", "doctor"], 0, /penstock doctor/],
  [["--version"], 0, /^\d+\.\d+\.\d+\n$/],
])("%j answers %i", (args, code, out) => {
  const answer = penstock(...args);
  expect(answer).toMatchObject({ code, err: "" });
  expect(answer.out).toMatch(out);
});

test.each([
  [["dcotor"], /there is no verb dcotor; .*doctor/],
  [["run", "--wrokers", "2"], /--wrokers[^]*penstock run/],
  [["run", "--workers", "none"], /--workers takes a number/],
  [["run", "now"], /run takes no now/],
  [["run", "--admin", "0.0.0.0:9900"], /--admin 0\.0\.0\.0:9900 is no loopback address/],
  [["run", "--admin", "[::]:9900"], /is no loopback address/],
  [["run", "--watch"], /--watch needs a file/],
  [["run", "--admin", "0.0.0.0:9900", "--admin-cert", "a.pem"], /go together/],
  [["run", "--admin-cert", "a", "--admin-key", "b", "--admin-ca", "c"], /is for --admin/],
  [["doctor", "me"], /doctor takes no me/],
  [["help", "nothing"], /there is no verb nothing/],
])("%j is wrong use", (args, err) => {
  const answer = penstock(...args);
  expect(answer).toMatchObject({ code: 2, out: "" });
  expect(answer.err).toMatch(err);
});

test("paths are relative to where npm was called, not to where it went", () => {
  const script = join(root, "gateway/main/penstock.ts");
  const env = { ...process.env, npm_lifecycle_event: "penstock", INIT_CWD: folder };
  const args = ["--no-warnings", script, "plugin", "new", "here"];
  expect(spawnSync(process.execPath, args, { encoding: "utf8", env, cwd: root }).stdout).toMatch(/^here is made\n/);
  expect(existsSync(join(folder, "here/assembly/index.ts"))).toBe(true);
});

describe("what fails says why, and with what code", () => {
  test("a file that is not there", () => {
    const answer = penstock("run", "-f", join(folder, "nothing.yaml"), "--data", join(folder, "data"));
    expect(answer.code).toBe(1);
    expect(answer.err).toMatch(/PENSTOCK_CLI_FILE/);
    // It had started, and ended in order.
    expect(existsSync(join(folder, "data/run.json"))).toBe(false);
  });

  test("a data directory that is a file", () => {
    const answer = penstock("run", "--json", "--data", join(folder, "file"));
    expect(answer.code).toBe(1);
    expect(JSON.parse(answer.out)).toMatchObject({ error: { code: "PENSTOCK_MAIN_DATA" } });
  });

  test.runIf(process.getuid?.() === 0)("a directory that is someone's and no gateway's is not taken", () => {
    const answer = penstock("run", "--data", folder);
    expect(answer.code).toBe(1);
    expect(answer.err).toMatch(/neither empty nor a gateway's/);
  });

  test("an admin address that is taken or wrong", () => {
    const answer = penstock("run", "--data", join(folder, "data2"), "--admin", "nowhere");
    expect(answer.code).toBe(1);
    expect(answer.err).toMatch(/PENSTOCK_MAIN_LISTEN/);
  });
});

test("a reader that has gone is no failure", () => {
  const command = `"${process.execPath}" --no-warnings "${join(root, "gateway/main/penstock.ts")}" help; echo "$?" >&2`;
  const { stderr } = spawnSync("sh", ["-c", `{ ${command}; } | true`], { encoding: "utf8", timeout: 20_000 });
  expect(stderr).toBe("0\n");
});

test("doctor --json has every area, and says what is done instead", () => {
  const { code, out } = penstock("doctor", "--json");
  expect(code).toBe(0);
  const { findings } = JSON.parse(out) as {
    findings: { area: string; available: boolean; instead: string; detail: string }[];
  };
  expect(new Set(findings.map(({ area }) => area))).toEqual(new Set(["system", "io", "confinement", "kernel"]));
  for (const each of findings.filter(({ available }) => !available)) expect(each.detail + each.instead).not.toBe("");
});
