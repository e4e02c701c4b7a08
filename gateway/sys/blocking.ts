/**
 * Descriptors in blocking mode, as io_uring wants them: with O_NONBLOCK set it answers EAGAIN instead of waiting for
 * readiness itself (io_uring_enter(2), «file status flags»).
 */
import type { Fd } from "#core/brands.ts";
import { errno, libc, SystemCallError } from "./libc.ts";
import { AF_INET, AF_INET6, IPPROTO_TCP, setsockoptInt, SOCK_STREAM, TCP_NODELAY } from "./socket.ts";

const fcntl = libc.func("int fcntl(int fd, int command, int argument)");
const socketCall = libc.func("int socket(int family, int type, int protocol)");

const F_GETFL = 3;
const F_SETFL = 4;
const O_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;

/** Sets or clears O_NONBLOCK. Throws SystemCallError. */
export function setBlocking(fd: Fd, blocking: boolean): void {
  const flags = fcntl(fd, F_GETFL, 0) as number;
  const wanted = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
  if (flags < 0 || (fcntl(fd, F_SETFL, wanted) as number) < 0) throw new SystemCallError("fcntl", errno());
}

/** A blocking stream socket without Nagle's delay, or −errno: running out of descriptors is the caller's case to handle. */
export function blockingStream(family: number): number {
  const fd = socketCall(family, SOCK_STREAM | SOCK_CLOEXEC, 0) as number;
  if (fd < 0) return -errno();
  if (family === AF_INET || family === AF_INET6) setsockoptInt(fd as Fd, IPPROTO_TCP, TCP_NODELAY, 1);
  return fd;
}
