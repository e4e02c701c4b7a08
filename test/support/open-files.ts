/** A process that can open nothing more, for a while: the soft limit of RLIMIT_NOFILE (include/uapi/asm-generic/resource.h). */
import { closeSync, openSync } from "node:fs";
import { check, libc } from "#sys/libc.ts";
import { AF_INET, close, socket } from "#sys/socket.ts";

const RLIMIT_NOFILE = 7;
const prlimit = libc.func("int prlimit64(int pid, int resource, void *next, void *previous)");

/** Answers how to undo it. */
export function exhaustDescriptors(): () => void {
  const before = openFilesMax();
  // Descriptors are numbered from the lowest free one: with the limit there, none can be had.
  const next = socket(AF_INET);
  close(next);
  setOpenFilesMax(next);
  return () => setOpenFilesMax(before);
}

/**
 * The same for who has asked already: io_uring takes the limit with the question, so it must be low before that, and then
 * reached. `reach` opens what may be opened, `relieve` gives all back.
 */
export function limitDescriptors(more: number): { reach(): void; relieve(): void } {
  const before = openFilesMax();
  const next = socket(AF_INET);
  close(next);
  setOpenFilesMax(next + more);
  const opened: number[] = [];
  const isLast = (): boolean => {
    try {
      opened.push(openSync("/dev/null", "r"));
      return false;
    } catch {
      return true;
    }
  };
  return {
    reach: () => {
      while (!isLast());
    },
    relieve: () => {
      setOpenFilesMax(before);
      for (const fd of opened.splice(0)) closeSync(fd);
    },
  };
}

function openFilesMax(): number {
  const limits = new BigUint64Array(2);
  check("prlimit64", prlimit(0, RLIMIT_NOFILE, null, limits));
  return Number(limits[0]);
}

function setOpenFilesMax(soft: number): void {
  const limits = new BigUint64Array(2);
  check("prlimit64", prlimit(0, RLIMIT_NOFILE, null, limits));
  limits[0] = BigInt(soft);
  check("prlimit64", prlimit(0, RLIMIT_NOFILE, limits, null));
}
