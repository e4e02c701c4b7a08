/** Which driver the data plane runs on here. */
import { existsSync, readFileSync } from "node:fs";
import { createArena } from "#io/arena.ts";
import { BUFFER_BYTES } from "#io/buffers.ts";
import { createUringDriver } from "#io/uring/driver.ts";
import { isPrivileged } from "#main/commands/privileges.ts";
import { finding } from "./finding.ts";
import type { Finding } from "./finding.ts";

/** Enough for the ring of provided buffers that a driver sets up. */
const BUFFERS = 512;
const EPOLL = "the epoll driver: the same behaviour, about twice the system calls";

export function probeIo(): Finding[] {
  const forced = process.env["PENSTOCK_IO"] === "epoll";
  const reason = forced ? "PENSTOCK_IO=epoll asks for it" : (switchedOff() ?? attempt());
  const detail = reason ?? "multishot accept and receive, provided buffers";
  return [
    finding("io", "io_uring", reason === null, detail, EPOLL),
    finding("io", "driver", true, reason === null ? "io_uring" : "epoll", ""),
  ];
}

/** kernel.io_uring_disabled: 1 leaves it to the privileged, which workers are not; 2 to nobody. */
function switchedOff(): string | null {
  const file = "/proc/sys/kernel/io_uring_disabled";
  const value = existsSync(file) ? readFileSync(file, "utf8").trim() : "0";
  if (value === "2" || (value === "1" && isPrivileged())) return `kernel.io_uring_disabled is ${value}`;
  return null;
}

/** Makes a driver as a worker does, and gives it back. Null: it can. */
function attempt(): string | null {
  try {
    createUringDriver({ arena: createArena(BUFFERS * BUFFER_BYTES) }).dispose();
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
