/**
 * Network namespaces. `setns` changes one thread; the thread here is the one that runs JavaScript, so the change must
 * be undone before control returns to the event loop: only synchronous work may run inside.
 */
import fs from "node:fs";
import { check, libc } from "./libc.ts";
import { assert } from "#core/assert.ts";

const setns = libc.func("int setns(int fd, int type)");
const CLONE_NEWNET = 0x4000_0000;

/**
 * Runs `work` in the namespace at `path` (`/run/netns/NAME`, `/proc/PID/ns/net`) and comes back, whatever happens.
 * Sockets made inside stay in that namespace. Throws PENSTOCK_SYS_CALL when the namespace can't be entered.
 */
export function inNetworkNamespace<T>(path: string, work: () => T): T {
  const home = fs.openSync("/proc/thread-self/ns/net", "r");
  try {
    const there = fs.openSync(path, "r");
    try {
      check("setns", setns(there, CLONE_NEWNET));
    } finally {
      fs.closeSync(there);
    }
    try {
      const result = work();
      assert(!(result instanceof Promise), "only synchronous work may run in another namespace");
      return result;
    } finally {
      check("setns back", setns(home, CLONE_NEWNET));
    }
  } finally {
    fs.closeSync(home);
  }
}
