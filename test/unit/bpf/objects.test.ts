import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";

const ROOT = path.join(import.meta.dirname, "../../..");
const BUILD = path.join(ROOT, "bpf/build.sh");
/** The compiler that the committed objects come from; another version makes other, equally good, bytes. */
const CLANG_MAJOR = 14;

const clang = ((): string | null => {
  try {
    return execFileSync(process.env["CLANG"] ?? "clang", ["--version"], { encoding: "utf8" });
  } catch {
    return null;
  }
})();
const wrongClang =
  clang === null
    ? "no clang here"
    : new RegExp(`version ${CLANG_MAJOR}\\.`).test(clang)
      ? null
      : `not clang ${CLANG_MAJOR}`;
if (wrongClang !== null) process.stdout.write(`skipped: rebuild of BPF objects: ${wrongClang}\n`);

describe.each([
  ["bpf/src", "bpf/obj"],
  ["test/support/bpf/src", "test/support/bpf/obj"],
])("objects of %s", (sources, objects) => {
  const [from, to] = [path.join(ROOT, sources), path.join(ROOT, objects)];

  it("were built from these sources", () => {
    const recorded = fs.readFileSync(path.join(to, "SOURCES.sha256"), "utf8").trim().split("\n");
    const found = fs
      .readdirSync(from)
      .filter((name) => /\.[ch]$/.test(name))
      .map(
        (name) =>
          `${createHash("sha256")
            .update(fs.readFileSync(path.join(from, name)))
            .digest("hex")}  ${name}`,
      );
    expect(recorded.toSorted()).toEqual(found.toSorted());
  });

  it.skipIf(wrongClang !== null)("come out the same, byte for byte, wherever they are built", () => {
    const elsewhere = fs.mkdtempSync(path.join(os.tmpdir(), "pst-obj-"));
    try {
      // From a copy in another folder: no path may have got into the objects.
      fs.cpSync(path.join(ROOT, "bpf"), path.join(elsewhere, "bpf"), {
        recursive: true,
        filter: (name) => !name.endsWith(".o"),
      });
      const copy = path.join(elsewhere, "sources");
      fs.cpSync(from, copy, { recursive: true });
      const own = sources === "bpf/src" ? path.join(elsewhere, "bpf/src") : copy;
      execFileSync(path.join(elsewhere, "bpf/build.sh"), [own, path.join(elsewhere, "out")]);
      for (const name of fs.readdirSync(to)) {
        const [built, committed] = [path.join(elsewhere, "out", name), path.join(to, name)].map((file) =>
          fs.readFileSync(file),
        );
        expect(built?.equals(committed ?? Buffer.alloc(0)), `${name}: rebuild with ${BUILD}`).toBe(true);
      }
    } finally {
      fs.rmSync(elsewhere, { recursive: true });
    }
  });
});
