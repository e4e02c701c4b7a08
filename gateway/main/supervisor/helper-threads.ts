/**
 * The engine's helper threads (concurrent marking, compiling) yield to the loops of workers: a worker that has a core to itself shares it with
 * its own helpers, and a collection of 30 MiB by four of them held its requests for 40 ms.
 */
import { readdirSync, readFileSync } from "node:fs";
import { setPriority } from "node:os";

/** As the engine names them (/proc/PID/task/TID/comm). */
const HELPER = "node-V8Worker";

/** A tenth of what a thread of priority 0 gets where both want the core (sched(7)): a plugin is compiled beside full load all the same. */
export const HELPER_NICE = 10;

/** Of process `pid`. What ends meanwhile, or may not be changed (no CAP_SYS_NICE over another user's), stays as it is. */
export function yieldHelpers(pid: number): void {
  for (const thread of threadsOf(pid)) {
    try {
      if (readFileSync(`/proc/${pid}/task/${thread}/comm`, "utf8").trim() === HELPER) setPriority(thread, HELPER_NICE);
    } catch {}
  }
}

function threadsOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number);
  } catch {
    return [];
  }
}
