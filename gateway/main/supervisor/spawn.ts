/**
 * Starts a child: a launcher that confines itself and becomes the program (see #main/confine). The child's end of every
 * extra descriptor is a copy; the caller's own stays the caller's.
 */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Fd } from "#core/brands.ts";
import type { Launch } from "#main/confine/launch.ts";
import { COMPILE_CACHE, policyFor } from "#main/confine/policies.ts";
import type { PolicyInput } from "#main/confine/policies.ts";

export interface SpawnInput extends PolicyInput {
  readonly args: readonly string[];
  /** Become descriptors 4, 5, … of the child. */
  readonly descriptors: readonly Fd[];
  /** The output of the child: ours, or piped to whoever reads `child.stdout`. */
  readonly output: "inherit" | "pipe";
}

/** Standard input, output and error, and the IPC channel. */
const FIRST_EXTRA = 4;

/** Flags of V8 and Node for each kind of child; sizes in MiB. */
const FLAGS: Readonly<Record<PolicyInput["kind"], readonly string[]>> = {
  // Explicit bounds checks instead of guard regions: a guest's memory then costs what it uses, not 10 GiB of address space
  // each, and hundreds of guests fit. 1 GiB of heap is far above what tables of 100 000 routes need: reaching it is a leak.
  // Requests allocate next to nothing, so a small young generation is collected seldom all the same; a large one only grows
  // with the first burst of connections and stays. It is collected in the loop's own thread, a step at a time: helpers would take the loop's core.
  worker: [
    "--disable-wasm-trap-handler",
    "--max-old-space-size=1024",
    "--max-semi-space-size=2",
    "--single-threaded-gc",
  ],
  // Its young generation is small for the same reason: an idle gateway would keep what its start has needed.
  control: ["--max-old-space-size=512", "--max-semi-space-size=2"],
  builder: ["--disable-wasm-trap-handler", "--max-old-space-size=512"],
  echo: ["--max-old-space-size=64"],
};

/** What of our environment the children see. */
const PASSED_ON = /^(PENSTOCK_\w+|TZ|LANG|LC_\w+|NO_COLOR|NODE_ENV)$/;
/** Of these, what is a secret of the command line's. */
const KEPT_BACK = new Set(["PENSTOCK_TOKEN"]);

/** Throws the errors of fork(2). What the launcher fails at it says on standard error, and exits with 1. */
export function spawnChild(input: SpawnInput): ChildProcess {
  const { root, node } = input.installation;
  const seal = join(root, "gateway/main/confine/seal.ts");
  const launch: Launch = {
    confinement: policyFor(input),
    file: node,
    args: ["--no-warnings", ...FLAGS[input.kind], `--import=${seal}`, input.entry, ...input.args],
    descriptors: FIRST_EXTRA + input.descriptors.length,
    environment: environment(root),
  };
  return fork(join(root, "gateway/main/confine/launch.ts"), [JSON.stringify(launch)], {
    execPath: node,
    execArgv: ["--no-warnings"],
    stdio: ["ignore", input.output, input.output === "pipe" ? "pipe" : "inherit", "ipc", ...input.descriptors],
    serialization: "advanced",
    env: environment(root),
    // A group of its own: Ctrl-C reaches the supervisor alone, which then ends its children in order.
    detached: true,
  });
}

function environment(root: string): Record<string, string> {
  // Two arenas of malloc in place of eight a core: what threads free is used again by others.
  const env: Record<string, string> = { PATH: "/usr/bin:/bin", MALLOC_ARENA_MAX: "2" };
  const cache = join(root, COMPILE_CACHE);
  if (existsSync(cache)) env["NODE_COMPILE_CACHE"] = cache;
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && PASSED_ON.test(name) && !KEPT_BACK.has(name)) env[name] = value;
  }
  return env;
}
