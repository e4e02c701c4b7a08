/** Files below a directory, opened so that no path leads out of it, and read without waiting for a disk. */
import { EAGAIN } from "#core/errno.ts";
import { koffi, libc, errno } from "./libc.ts";

const openat2Call = libc.func(
  "int64_t syscall(int64_t number, int directory, const char *path, void *how, size_t size)",
);
const preadv2Call = libc.func("int64_t preadv2(int fd, void *iov, int count, int64_t offset, int flags)");

/** The same number on every architecture (asm-generic/unistd.h). */
const SYS_OPENAT2 = 437;
const HOW_BYTES = 24;
const O_NOCTTY = 0o400;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
/** linux/openat2.h: no magic links, and nothing above the directory, by .. or by a symbolic link. */
const RESOLVE_NO_MAGICLINKS = 0x02;
const RESOLVE_BENEATH = 0x08;
/** linux/fs.h: EAGAIN in place of waiting for the disk. */
const RWF_NOWAIT = 0x08;

const how = Buffer.alloc(HOW_BYTES);
how.writeBigUInt64LE(BigInt(O_NOCTTY | O_NONBLOCK | O_CLOEXEC), 0);
how.writeBigUInt64LE(BigInt(RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS), 16);

/** openat2(2) for reading. A descriptor, or −errno: EXDEV for a path that leads out. A FIFO is not waited for. */
export function openBeneath(directory: number, path: string): number {
  const fd = Number(openat2Call(SYS_OPENAT2, directory, path, how, HOW_BYTES));
  return fd < 0 ? -errno() : fd;
}

const iovec = Buffer.alloc(16);

/**
 * preadv2(2) of what is in the page cache: bytes read into `target`, 0 at the end, or −EAGAIN where the disk would have to
 * be asked, or the file system can't say.
 */
export function readCached(fd: number, target: Uint8Array, position: number): number {
  iovec.writeBigUInt64LE(koffi.address(target), 0);
  iovec.writeBigUInt64LE(BigInt(target.byteLength), 8);
  const got = Number(preadv2Call(fd, iovec, 1, position, RWF_NOWAIT));
  return got < 0 ? -EAGAIN : got;
}
