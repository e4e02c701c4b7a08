/**
 * io_uring's three system calls. Source: linux/io_uring.h; numbers are the same on every architecture that has them.
 */
import { errno, libc, SystemCallError } from "./libc.ts";

const SYS_IO_URING_SETUP = 425;
const SYS_IO_URING_ENTER = 426;
const SYS_IO_URING_REGISTER = 427;

const setupCall = libc.func("syscall", "long", ["long", "uint32", "void *"]);
const enterCall = libc.func("syscall", "long", ["long", "int", "uint32", "uint32", "uint32", "long", "ulong"]);
const registerCall = libc.func("syscall", "long", ["long", "int", "uint32", "void *", "uint32"]);

export const ENTER_GETEVENTS = 1;
export const ENTER_EXT_ARG = 8;

export const REGISTER_RESTRICTIONS = 11;
export const REGISTER_ENABLE_RINGS = 12;
export const REGISTER_PBUF_RING = 22;

/** Answers the ring's descriptor; the kernel fills `params` (struct io_uring_params, 120 bytes). Throws SystemCallError. */
export function uringSetup(entries: number, params: Uint8Array): number {
  const fd = Number(setupCall(SYS_IO_URING_SETUP, entries, params));
  if (fd < 0) throw new SystemCallError("io_uring_setup", errno());
  return fd;
}

/** Answers the number of entries taken, or −errno. `argument` is the address of a struct io_uring_getevents_arg. */
export function uringEnter(
  fd: number,
  submit: number,
  minComplete: number,
  flags: number,
  argument: number,
  argumentBytes: number,
): number {
  const result = enterCall(SYS_IO_URING_ENTER, fd, submit, minComplete, flags, argument, argumentBytes) as number;
  return result < 0 ? -errno() : result;
}

/** Answers what the kernel answers, ≥ 0. Throws SystemCallError. */
export function uringRegister(fd: number, operation: number, argument: Uint8Array | null, count: number): number {
  const result = Number(registerCall(SYS_IO_URING_REGISTER, fd, operation, argument, count));
  if (result < 0) throw new SystemCallError(`io_uring_register(${operation})`, errno());
  return result;
}
