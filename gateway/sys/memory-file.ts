/**
 * memfd_create(2): a file that is nowhere but in memory, for processes that are handed its descriptor and map parts of it.
 * It can grow and never shrink (F_SEAL_SHRINK): nobody who maps it can be made to fault by who else has it.
 */
import { asFd, type Fd } from "#core/brands.ts";
import { check, libc } from "./libc.ts";

const memfdCreate = libc.func("int memfd_create(const char *name, unsigned int flags)");
const ftruncateCall = libc.func("int ftruncate(int fd, int64_t length)");
const fallocateCall = libc.func("int fallocate(int fd, int mode, int64_t offset, int64_t length)");
const lseekCall = libc.func("int64_t lseek(int fd, int64_t offset, int whence)");
const fcntlCall = libc.func("int fcntl(int fd, int command, int value)");
const schedYield = libc.func("int sched_yield()");

/** include/uapi/linux/memfd.h, fcntl.h, falloc.h */
const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const F_ADD_SEALS = 1033;
const F_SEAL_SEAL = 1;
const F_SEAL_SHRINK = 2;
const SEEK_END = 2;
const FALLOC_FL_KEEP_SIZE = 1;
const FALLOC_FL_PUNCH_HOLE = 2;

/** Empty at first. Throws PENSTOCK_SYS_CALL. */
export function createMemoryFile(name: string): Fd {
  const fd = check("memfd_create", memfdCreate(name, MFD_CLOEXEC | MFD_ALLOW_SEALING) as number);
  check("fcntl F_ADD_SEALS", fcntlCall(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_SEAL) as number);
  return asFd(fd);
}

/** Makes it `length` bytes long; what is new is zero and takes no memory. Throws PENSTOCK_SYS_CALL. */
export function growMemoryFile(fd: Fd, length: number): void {
  check("ftruncate", ftruncateCall(fd, length) as number);
}

/** Its length in bytes. Throws PENSTOCK_SYS_CALL. */
export function memoryFileBytes(fd: Fd): number {
  return check("lseek", lseekCall(fd, 0, SEEK_END) as number | bigint);
}

/** Gives the memory of a range of whole pages back: it is zero again, for all who map it. Throws PENSTOCK_SYS_CALL. */
export function punchMemoryFile(fd: Fd, offset: number, length: number): void {
  const mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  check("fallocate", fallocateCall(fd, mode, offset, length) as number);
}

/** sched_yield(2): lets another thread have this core, if one waits for it. */
export function yieldCore(): void {
  schedYield();
}
