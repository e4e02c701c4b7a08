/**
 * Datagrams with their addresses. Receiving takes many in one call (recvmmsg), sending gives one: memory is addressed by
 * plain numbers, as for streams (see socket.ts).
 *
 *     struct mmsghdr (64)   name ptr 0 | namelen u32 8 | iov ptr 16 | iovlen 24 | control ptr 32 | controllen 40 | flags 48
 *                           | length u32 56
 */
import { asFd, type Fd } from "#core/brands.ts";
import { errno, libc } from "./libc.ts";
import { AF_INET6, IPPROTO_IP, IPPROTO_IPV6, setsockoptInt, SO_RCVBUF, SOCK_DGRAM, SOL_SOCKET } from "./socket.ts";

export const MMSGHDR_BYTES = 64;
const MSG_DONTWAIT = 0x40;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;

// include/uapi/linux/in.h, in6.h
export const IP_PKTINFO = 8;
export const IPV6_PKTINFO = 50;
const IPV6_RECVPKTINFO = 49;

const recvmmsgCall = libc.func(
  "int recvmmsg(int fd, uintptr_t messages, uint32_t count, int flags, uintptr_t timeout)",
);
const socketCall = libc.func("int socket(int domain, int type, int protocol)");

/** recvmmsg(2) of up to `count` datagrams without waiting: how many, or −errno. `messages`: address of struct mmsghdr[]. */
export function recvmmsg(fd: number, messages: number, count: number): number {
  const result = recvmmsgCall(fd, messages, count, MSG_DONTWAIT, 0) as number;
  return result < 0 ? -errno() : result;
}

/** A non-blocking datagram socket, or −errno: being out of descriptors is the caller's case to handle. */
export function openDatagram(family: number): number {
  const fd = socketCall(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) as number;
  return fd < 0 ? -errno() : fd;
}

/** Each datagram tells which of our addresses it was sent to. Throws. */
export function receivePacketInfo(fd: Fd, family: number): void {
  if (family === AF_INET6) setsockoptInt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
  else setsockoptInt(fd, IPPROTO_IP, IP_PKTINFO, 1);
}

/** Room for `bytes` of datagrams that wait; the kernel bounds it by net.core.rmem_max. Throws. */
export function receiveRoom(fd: number, bytes: number): void {
  setsockoptInt(asFd(fd), SOL_SOCKET, SO_RCVBUF, bytes);
}
