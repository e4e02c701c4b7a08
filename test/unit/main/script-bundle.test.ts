/** What a script is read with, and what its text lets it ask for. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { readScript, type ReadScript } from "#main/script/bundle.ts";

const folder = mkdtempSync(join(tmpdir(), "penstock-bundle-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const url = (name: string): string => `file://${join(folder, name)}`;

function read(text: string, files: Readonly<Record<string, string>> = {}): ReadScript {
  for (const [name, content] of Object.entries({ ...files, "main.ts": text }))
    writeFileSync(join(folder, name), content);
  return readScript(join(folder, "main.ts"));
}

test("modules and files that it names, and those of its modules", () => {
  const { bundle } = read('import "./a.ts"; import { x } from "penstock"; load("./one.json"); load("./gone.json")', {
    "a.ts": 'export * from "./b.ts"; kernel.object("./two.o")',
    "b.ts": "",
    "one.json": "1",
    "two.o": "2",
  });
  expect(bundle.modules.map((one) => one.url)).toEqual(["main.ts", "a.ts", "b.ts"].map(url));
  expect(bundle.files.map((one) => one.url)).toEqual(["one.json", "two.o"].map(url));
  expect(bundle).toMatchObject({ watched: [], outputs: [], commands: [], changesNetwork: false });
});

test("what is followed, written, run and changed", () => {
  const { bundle } = read(
    `watch("./hosts", f)
    $.tee("./copy.log").tee('/var/log/all.log').tee("copy" + name)
    $.exec("tr a-z A-Z").exec(command); /x/g.exec("some text")
    await kernel
      .add("route", {})`,
    { hosts: "x" },
  );
  expect(bundle).toMatchObject({
    watched: [url("hosts")],
    outputs: [url("copy.log"), "file:///var/log/all.log"],
    commands: ["tr a-z A-Z"],
    changesNetwork: true,
  });
  expect(read('$.connect("route", { protocol: "netlink" })').bundle.changesNetwork).toBe(true);
  expect(read('await kernel.list("routes")').bundle.changesNetwork).toBe(false);
});

test("a file that is followed is no part of the script; one that is loaded is", () => {
  const of = (text: string, word: string) => read(text, { word });
  const [first, second] = ["one", "two"].map((word) => of('watch("./word", f)', word));
  expect(second?.bundle.digest).toBe(first?.bundle.digest);
  expect([
    first?.files.has(join(folder, "word")),
    Buffer.from(second?.bundle.files[0]?.bytes ?? []).toString(),
  ]).toEqual([false, "two"]);
  const [third, fourth] = ["one", "two"].map((word) => of('load("./word")', word));
  expect(fourth?.bundle.digest).not.toBe(third?.bundle.digest);
});

test("a script that is not there", () => {
  expect(() => readScript(join(folder, "nowhere.ts"))).toThrow(/nowhere\.ts: ENOENT/);
});
