/** What the kernel knows of a TCP socket, by getsockopt(2). No allocation: these are asked on the data plane. Never throws. */
import { errno, libc } from "./libc.ts";
import { IPPROTO_TCP } from "./socket.ts";

const getsockopt = libc.func("int getsockopt(int fd, int level, int option, void *value, void *length)");

/** include/uapi/linux/tcp.h */
const TCP_INFO = 11;

const INFO_BYTES = 216;
/** Offsets in struct tcp_info, include/uapi/linux/tcp.h; since Linux 4.1, 4.6 and 4.19. */
const BYTES_ACKED_AT = 120;
const BYTES_RECEIVED_AT = 128;
const NOT_SENT_BYTES_AT = 144;
const BYTES_SENT_AT = 200;
const BYTES_RETRANSMITTED_AT = 208;

const info = Buffer.alloc(INFO_BYTES);
const length = new Uint32Array(1);

/** Bytes that the peer's kernel has acknowledged so far; or −errno. */
export function bytesAcknowledged(fd: number): number {
  length[0] = INFO_BYTES;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, length) !== 0) return -errno();
  return readCount(BYTES_ACKED_AT);
}

/** Bytes that have come in order since the connection began, read or not, with 1 for a FIN; or −errno. */
export function bytesReceived(fd: number): number {
  length[0] = INFO_BYTES;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, length) !== 0) return -errno();
  return readCount(BYTES_RECEIVED_AT);
}

/** Bytes that the kernel has taken to be sent since the connection began, sent or not; or −errno. Linux 4.19. */
export function bytesTaken(fd: number): number {
  length[0] = INFO_BYTES;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, length) !== 0) return -errno();
  return readCount(BYTES_SENT_AT) - readCount(BYTES_RETRANSMITTED_AT) + info.readUInt32LE(NOT_SENT_BYTES_AT);
}

/** A u64 as a number: exact up to 8 PiB. */
function readCount(at: number): number {
  return info.readUInt32LE(at) + info.readUInt32LE(at + 4) * 0x1_0000_0000;
}
