/**
 * Network namespaces. `setns` changes one thread; the thread here is the one that runs JavaScript, so the change must
 * be undone before control returns to the event loop: only synchronous work may run inside.
 */
import fs from "node:fs";
import { check, libc } from "./libc.ts";
import { AF_INET, close, socket, SOL_SOCKET } from "./socket.ts";
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

const getsockopt = libc.func("int getsockopt(int fd, int level, int option, void *value, void *length)");
/** include/uapi/asm-generic/socket.h */
const SO_NETNS_COOKIE = 71;

/** The number that `bpf_get_netns_cookie` answers for the namespace this thread is in. Throws before Linux 5.14. */
export function networkNamespaceCookie(): bigint {
  const fd = socket(AF_INET);
  try {
    const value = Buffer.alloc(8);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(value.length, 0);
    check("getsockopt SO_NETNS_COOKIE", getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, value, length));
    return value.readBigUInt64LE(0);
  } finally {
    close(fd);
  }
}
