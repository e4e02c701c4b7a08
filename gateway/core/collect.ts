/**
 * One collection of garbage, a while after a process has begun: a start needs many times what an idle process does, and without
 * allocations V8 has no reason to look. V8 offers it only behind a flag, which may be set at run time. Of supervisor and control,
 * which are 13 and 6 MiB smaller for it; a worker would let its clients wait.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Behind what follows a start: declarations applied, caches written. */
const AFTER_MS = 5000;

/** Does not keep the process alive. */
export function collectAfterStart(): void {
  setTimeout(() => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as (options: object) => void;
    collect({ type: "major", execution: "sync", flavor: "last-resort" });
  }, AFTER_MS).unref();
}
