/**
 * Plugins for other gateways, built from source with what Debian has: C++ by clang with wasi-libc, Rust by rustc without
 * crates. A toolchain that is missing is told by `missing...`, for a test to skip with its reason.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { thisInstallation } from "#main/confine/installation.ts";

const SOURCES = join(thisInstallation().root, "test/support/foreign");
const RUSTC = "/usr/bin/rustc";

/** Empty: there is one. */
export const missingCpp: string = ((): string => {
  if (spawnSync("clang++", ["--version"]).status !== 0) return "clang++ is missing";
  if (spawnSync("wasm-ld", ["--version"]).status !== 0) return "wasm-ld is missing (lld)";
  if (!existsSync("/usr/lib/wasm32-wasi/libc.a")) return "wasi-libc is missing";
  return existsSync("/usr/lib/wasm32-wasi/libc++.a") ? "" : "libc++ for wasm32 is missing";
})();

export const missingRust: string = ((): string => {
  if (!existsSync(RUSTC)) return "rustc is missing";
  const libraries = spawnSync(RUSTC, ["--print", "target-libdir", "--target", "wasm32-unknown-unknown"]);
  return existsSync(libraries.stdout.toString().trim()) ? "" : "libstd-rust-dev-wasm32 is missing";
})();

function built(build: (output: string) => void): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), "penstock-foreign-"));
  try {
    const output = join(folder, "plugin.wasm");
    build(output);
    return new Uint8Array(readFileSync(output));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A reactor: `_initialize` instead of `main`. */
export function buildCpp(source: string): Uint8Array {
  const language = [
    "--target=wasm32-wasi",
    "-O1",
    "-std=c++17",
    "-fno-exceptions",
    "-fno-rtti",
    "-mexec-model=reactor",
  ];
  const libraries = ["-nostdlib++", "-lc++", "-lc++abi", "-Wl,--strip-all"];
  return built((output) => {
    execFileSync("clang++", [...language, "-o", output, join(SOURCES, source), ...libraries]);
  });
}

export function buildRust(source: string): Uint8Array {
  const flags = [
    "--target",
    "wasm32-unknown-unknown",
    "--crate-type",
    "cdylib",
    "-C",
    "opt-level=1",
    "-C",
    "strip=symbols",
  ];
  return built((output) => {
    execFileSync(RUSTC, [...flags, "--edition", "2021", "-o", output, join(SOURCES, source)]);
  });
}
