/**
 * Socket calls. Set-up calls throw a registered error that names the call and the errno; calls whose failure is an
 * everyday event of the data plane (accept4, connect, recv, send, sendmsg, shutdown) never throw and answer a negative
 * errno, or for connect and shutdown a positive one.
 *
 * Memory is passed in two ways. Small, rare structures (socket addresses, option values) are byte arrays that koffi
 * pins for the call. Buffers of the arena are plain numbers, the address in this process: user space ends below 2⁴⁷, so a
 * number holds it exactly, and it costs 0.1 µs less than a byte array, with nothing allocated.
 */
import { EINTR, EINVAL, ENOENT, ENOPROTOOPT, ENOTCONN, EOPNOTSUPP } from "#core/errno.ts";
import { asFd } from "#core/brands.ts";
import type { Fd } from "#core/brands.ts";
import { sysError } from "#core/errors/sys.ts";
import { check, errno, libc, SystemCallError } from "./libc.ts";

// include/linux/socket.h, include/linux/net.h
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
export const SHUT_WR = 1;
export const MSG_NOSIGNAL = 0x4000;

// include/uapi/asm-generic/socket.h
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_ERROR = 4;
export const SO_RCVBUF = 8;
export const SO_LINGER = 13;
export const SO_REUSEPORT = 15;
export const SO_MARK = 36;
export const SO_DOMAIN = 39;

// include/uapi/linux/in.h, in6.h
export const IPPROTO_IP = 0;
export const IPPROTO_IPV6 = 41;
export const IPV6_V6ONLY = 26;
/** include/uapi/linux/netfilter_ipv4.h and netfilter_ipv6/ip6_tables.h: the same number at both levels. */
const SO_ORIGINAL_DST = 80;

// include/uapi/linux/tcp.h
export const IPPROTO_TCP = 6;
export const TCP_NODELAY = 1;
export const TCP_USER_TIMEOUT = 18;

const socketCall = libc.func("int socket(int domain, int type, int protocol)");
const socketpairCall = libc.func("int socketpair(int domain, int type, int protocol, _Out_ int *pair)");
const bindCall = libc.func("int bind(int fd, void *address, uint32_t length)");
const listenCall = libc.func("int listen(int fd, int backlog)");
const accept4Call = libc.func("int accept4(int fd, uintptr_t address, uintptr_t length, int flags)");
const connectCall = libc.func("int connect(int fd, void *address, uint32_t length)");
const recvCall = libc.func("int64_t recv(int fd, uintptr_t buffer, size_t length, int flags)");
const sendCall = libc.func("int64_t send(int fd, uintptr_t buffer, size_t length, int flags)");
const sendmsgCall = libc.func("int64_t sendmsg(int fd, uintptr_t message, int flags)");
const getsockoptCall = libc.func("int getsockopt(int fd, int level, int option, void *value, void *length)");
const setsockoptCall = libc.func("int setsockopt(int fd, int level, int option, void *value, uint32_t length)");
const getsocknameCall = libc.func("int getsockname(int fd, void *address, void *length)");
const getpeernameCall = libc.func("int getpeername(int fd, void *address, void *length)");
const shutdownCall = libc.func("int shutdown(int fd, int how)");
const closeCall = libc.func("int close(int fd)");

/** struct sockaddr_un is the largest address we meet: 2 bytes of family, 108 of path. */
const SOCKADDR_BYTES_MAX = 110;

// One thread, and no call below calls back: these are free again when each function answers.
const addressScratch = new Uint8Array(SOCKADDR_BYTES_MAX);
const lengthScratch = new Uint32Array(1);
const intScratch = new Int32Array(1);

/** socket(2): non-blocking and close-on-exec, as everything here must be. Throws. */
export function socket(family: number, type: number = SOCK_STREAM, protocol = 0): Fd {
  return asFd(check("socket", socketCall(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol)));
}

/** A non-blocking stream socket without Nagle's delay, or −errno: being out of descriptors is the caller's case to handle. */
export function openStream(family: number): number {
  const fd = socketCall(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) as number;
  if (fd < 0) return -errno();
  if (family === AF_INET || family === AF_INET6) setsockoptInt(asFd(fd), IPPROTO_TCP, TCP_NODELAY, 1);
  return fd;
}

/** socketpair(2) of AF_UNIX, non-blocking and close-on-exec. Throws. */
export function socketpair(type: number = SOCK_STREAM): [Fd, Fd] {
  const pair: [number, number] = [-1, -1];
  check("socketpair", socketpairCall(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair));
  return [asFd(pair[0]), asFd(pair[1])];
}

/** bind(2) to the bytes of a struct sockaddr (core/address.ts makes them). Throws. */
export function bind(fd: Fd, address: Uint8Array): void {
  check("bind", bindCall(fd, address, address.length));
}

/** linux/in.h. The port is chosen when the socket connects, and may be one that others use towards other destinations. */
const IP_BIND_ADDRESS_NO_PORT = 24;

/** bind(2) of a socket that is about to connect, to an address with port 0: 0 or errno. */
export function bindLocal(fd: number, address: Uint8Array): number {
  setsockoptInt(asFd(fd), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  return bindCall(fd, address, address.length) === 0 ? 0 : errno();
}

/** listen(2). The kernel bounds `backlog` by net.core.somaxconn. Throws. */
export function listen(fd: Fd, backlog = 4096): void {
  check("listen", listenCall(fd, backlog));
}

/** accept4(2), non-blocking and close-on-exec: the new descriptor, or −errno (−EAGAIN: none waits). */
export function accept4(fd: Fd): number {
  const result = accept4Call(fd, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC) as number;
  return result < 0 ? -errno() : result;
}

/** connect(2) to the bytes of a struct sockaddr: 0 or errno (EINPROGRESS: wait until writable, then read SO_ERROR). */
export function connect(fd: Fd, address: Uint8Array): number {
  return connectCall(fd, address, address.length) === 0 ? 0 : errno();
}

/** recv(2) of up to `length` bytes to the address `at`: bytes, 0 at the end of the stream, or −errno. */
export function recv(fd: number, at: number, length: number, flags = 0): number {
  const result = recvCall(fd, at, length, flags) as number;
  return result < 0 ? -errno() : result;
}

/** send(2) of `length` bytes at the address `at`, without SIGPIPE: bytes taken, or −errno. */
export function send(fd: number, at: number, length: number, flags = 0): number {
  const result = sendCall(fd, at, length, flags | MSG_NOSIGNAL) as number;
  return result < 0 ? -errno() : result;
}

/** sendmsg(2) of the struct msghdr at the address `message`, without SIGPIPE: bytes taken, or −errno. */
export function sendmsg(fd: number, message: number, flags = 0): number {
  const result = sendmsgCall(fd, message, flags | MSG_NOSIGNAL) as number;
  return result < 0 ? -errno() : result;
}

/** getsockopt(2) of an int. Throws. */
export function getsockoptInt(fd: Fd, level: number, option: number): number {
  lengthScratch[0] = 4;
  check("getsockopt", getsockoptCall(fd, level, option, intScratch, lengthScratch));
  return intScratch[0] as number;
}

/** getsockopt(2) of a structure of at most `length` bytes: what the kernel answers. Throws. */
export function getsockoptBytes(fd: Fd, level: number, option: number, length: number): Uint8Array {
  const value = new Uint8Array(length);
  lengthScratch[0] = length;
  check("getsockopt", getsockoptCall(fd, level, option, value, lengthScratch));
  return value.subarray(0, lengthScratch[0]);
}

/** setsockopt(2) of an int. Throws. */
export function setsockoptInt(fd: Fd, level: number, option: number, value: number): void {
  intScratch[0] = value;
  check("setsockopt", setsockoptCall(fd, level, option, intScratch, 4));
}

/** setsockopt(2) of a structure. Throws. */
export function setsockoptBytes(fd: Fd, level: number, option: number, value: Uint8Array): void {
  check("setsockopt", setsockoptCall(fd, level, option, value, value.length));
}

/** SO_ERROR: the errno that ended a connect or broke the connection, 0 for none; reading it clears it. Throws. */
export function socketError(fd: Fd): number {
  return getsockoptInt(fd, SOL_SOCKET, SO_ERROR);
}

/** close(2) is to reset the connection instead of ending it in order: struct linger { on, 0 seconds }. Throws. */
export function resetOnClose(fd: Fd): void {
  setsockoptBytes(fd, SOL_SOCKET, SO_LINGER, LINGER_ZERO);
}
const LINGER_ZERO = Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0);

/** getsockname(2): a fresh copy of the struct sockaddr. Throws. */
export function getsockname(fd: Fd): Uint8Array {
  lengthScratch[0] = SOCKADDR_BYTES_MAX;
  check("getsockname", getsocknameCall(fd, addressScratch, lengthScratch));
  return addressScratch.slice(0, lengthScratch[0]);
}

/** getpeername(2): a fresh copy of the struct sockaddr, or null when the peer has already gone. Throws on anything else. */
export function getpeername(fd: Fd): Uint8Array | null {
  lengthScratch[0] = SOCKADDR_BYTES_MAX;
  if (getpeernameCall(fd, addressScratch, lengthScratch) === 0) return addressScratch.slice(0, lengthScratch[0]);
  const value = errno();
  // EINVAL: Linux's answer for a TCP socket that was reset and shut down.
  if (value === ENOTCONN || value === EINVAL) return null;
  throw callError("getpeername", value);
}

/**
 * Where a redirected connection was going before netfilter, or our own getsockopt program, turned it to us: a struct
 * sockaddr, or null when nothing redirected it. `family` is the socket's (AF_INET or AF_INET6).
 */
export function originalDestination(fd: Fd, family: number): Uint8Array | null {
  const level = family === AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
  lengthScratch[0] = family === AF_INET6 ? 28 : 16;
  if (getsockoptCall(fd, level, SO_ORIGINAL_DST, addressScratch, lengthScratch) === 0) {
    return addressScratch.slice(0, lengthScratch[0]);
  }
  const value = errno();
  // ENOENT: no translation is known; the others: connection tracking is not in this kernel, or not for this socket.
  if (value === ENOENT || value === ENOPROTOOPT || value === EOPNOTSUPP || value === ENOTCONN) return null;
  throw callError("getsockopt SO_ORIGINAL_DST", value);
}

/** shutdown(2): 0, or errno (ENOTCONN: the peer was faster). */
export function shutdown(fd: number, how: number): number {
  return shutdownCall(fd, how) === 0 ? 0 : errno();
}

/** close(2). Linux frees the descriptor also when it answers EINTR. Throws on EBADF: someone closed twice. */
export function close(fd: number): void {
  if (closeCall(fd) === 0) return;
  const value = errno();
  if (value !== EINTR) throw callError("close", value);
}

function callError(call: string, value: number): Error {
  const cause = new SystemCallError(call, value);
  return sysError("PENSTOCK_SYS_CALL", { detail: cause.message, cause });
}
