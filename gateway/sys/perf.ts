/** perf_event_open(2), for tracepoints only: the descriptor that a BPF program is attached to. */
import { errno, libc, SystemCallError } from "./libc.ts";
import { asFd, type Fd } from "#core/brands.ts";

const openCall = libc.func("long syscall(long number, void *attr, int pid, int cpu, int group, unsigned long flags)");

/** asm/unistd_64.h and asm-generic/unistd.h. */
const SYS_PERF_EVENT_OPEN = process.arch === "arm64" ? 241 : 298;
const PERF_TYPE_TRACEPOINT = 2;
/** PERF_ATTR_SIZE_VER5: every kernel that takes BPF programs on tracepoints knows that much. */
const ATTR_BYTES = 112;
const PERF_FLAG_FD_CLOEXEC = 8;

/** `id`: of the tracepoint, as tracefs tells it. Of all processes on one CPU; the program runs on all. Throws SystemCallError. */
export function openTracepoint(id: number): Fd {
  const attr = Buffer.alloc(ATTR_BYTES);
  attr.writeUInt32LE(PERF_TYPE_TRACEPOINT, 0);
  attr.writeUInt32LE(ATTR_BYTES, 4);
  attr.writeBigUInt64LE(BigInt(id), 8);
  // sample_period 1: an event each time.
  attr.writeBigUInt64LE(1n, 16);
  const fd = Number(openCall(SYS_PERF_EVENT_OPEN, attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC));
  if (fd < 0) throw new SystemCallError("perf_event_open", errno(), `tracepoint ${id}`);
  return asFd(fd);
}
