/** What the kernel knows of a TCP socket, by getsockopt(2). No allocation: these are asked on the data plane. Never throws. */
import { errno, libc } from "./libc.ts";
import { IPPROTO_TCP, SOL_SOCKET } from "./socket.ts";

const getsockopt = libc.func("int getsockopt(int fd, int level, int option, void *value, void *length)");

/** include/uapi/asm-generic/socket.h, include/uapi/linux/tcp.h */
const SO_COOKIE = 57;
const TCP_INFO = 11;

const INFO_BYTES = 216;
/** Offsets in struct tcp_info, include/uapi/linux/tcp.h. The three are there since Linux 4.19. */
const BYTES_ACKED_AT = 120;
const NOTSENT_BYTES_AT = 144;
const BYTES_SENT_AT = 200;
const BYTES_RETRANS_AT = 208;

const info = Buffer.alloc(INFO_BYTES);
const length = new Uint32Array(1);

/** Writes the number by which programs know this socket into 8 bytes: 0, or −errno. */
export function readSocketCookie(fd: number, into: Uint8Array): number {
  length[0] = into.length;
  return getsockopt(fd, SOL_SOCKET, SO_COOKIE, into, length) === 0 ? 0 : -errno();
}

/** Bytes that this socket has been given to send so far, whether they have left or not; or −errno. */
export function bytesGiven(fd: number): number {
  length[0] = INFO_BYTES;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, length) !== 0) return -errno();
  return readCount(BYTES_SENT_AT) - readCount(BYTES_RETRANS_AT) + info.readUInt32LE(NOTSENT_BYTES_AT);
}

/** Bytes that the peer's kernel has acknowledged so far; or −errno. */
export function bytesAcknowledged(fd: number): number {
  length[0] = INFO_BYTES;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, length) !== 0) return -errno();
  return readCount(BYTES_ACKED_AT);
}

/** A u64 as a number: exact up to 8 PiB. */
function readCount(at: number): number {
  return info.readUInt32LE(at) + info.readUInt32LE(at + 4) * 0x1_0000_0000;
}
