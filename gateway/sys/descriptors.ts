/**
 * Open files handed to another process: SCM_RIGHTS messages on a SOCK_SEQPACKET pair. Every descriptor travels with a
 * number of the sender's, its tag, so that the receiver knows which is which whatever the order of its reads. The
 * sender keeps its own copy; received copies belong to the receiver and are close-on-exec.
 *
 * Memory: one block for the life of the process, outside V8's heap, since the kernel follows addresses inside it. Calls
 * are synchronous and one thread makes them, so it is free again when each returns.
 *
 *     0        56      72          328                              offsets from include/linux/socket.h, 64-bit
 *     msghdr   iovec   64 tags     cmsghdr (16) · 64 descriptors
 */
import { EAGAIN, EINTR } from "#core/errno.ts";
import { asFd } from "#core/brands.ts";
import type { Fd } from "#core/brands.ts";
import { sysError } from "#core/errors/sys.ts";
import { check, errno, libc, SystemCallError } from "./libc.ts";
import { addressOf } from "./memory.ts";
import { sendmsg, SOL_SOCKET } from "./socket.ts";

export interface TaggedDescriptor {
  /** 0 … 2³²−1, chosen by the sender. */
  readonly tag: number;
  readonly fd: Fd;
}

/** include/linux/socket.h */
export const SOCK_SEQPACKET = 5;
const SCM_RIGHTS = 1;
const MSG_DONTWAIT = 0x40;
const MSG_TRUNC = 0x20;
const MSG_CTRUNC = 0x8;
const MSG_CMSG_CLOEXEC = 0x4000_0000;

/** The kernel takes up to 253 (SCM_MAX_FD) in one message; 64 keep the block within half a page. */
const DESCRIPTORS_PER_MESSAGE = 64;
const MSGHDR = 56;
const IOVEC = 16;
const CMSGHDR = 16;

const recvmsgCall = libc.func("int64_t recvmsg(int fd, uintptr_t message, int flags)");
const fcntlCall = libc.func("int fcntl(int fd, int command, int value)");
const closeRangeCall = libc.func("int64_t syscall(int64_t number, uint32_t first, uint32_t last, uint32_t flags)");

const TAGS = MSGHDR + IOVEC;
const CONTROL = TAGS + 4 * DESCRIPTORS_PER_MESSAGE;
const message = new Uint8Array(new ArrayBuffer(CONTROL + CMSGHDR + 4 * DESCRIPTORS_PER_MESSAGE));
const view = new DataView(message.buffer);
const messageAddress = addressOf(message);

/** Fills in msghdr and iovec for `descriptors` of them; answers the address of the msghdr. */
function prepareMessage(descriptors: number): number {
  view.setBigUint64(16, messageAddress + BigInt(MSGHDR), true); // msg_iov
  view.setBigUint64(24, 1n, true); // msg_iovlen
  view.setBigUint64(32, messageAddress + BigInt(CONTROL), true); // msg_control
  view.setBigUint64(40, BigInt(CMSGHDR + 4 * descriptors), true); // msg_controllen
  view.setBigUint64(MSGHDR, messageAddress + BigInt(TAGS), true); // iov_base
  view.setBigUint64(MSGHDR + 8, BigInt(4 * descriptors), true); // iov_len
  return Number(messageAddress);
}

/**
 * Sends copies of `items` over `channel`, in order. Throws PENSTOCK_SYS_CALL: EPIPE when the receiver is gone, EAGAIN when
 * it has not read some hundred messages, in which case a part may have been sent and the channel is best given up.
 */
export function sendDescriptors(channel: Fd, items: readonly TaggedDescriptor[]): void {
  for (let from = 0; from < items.length; from += DESCRIPTORS_PER_MESSAGE) {
    sendOne(channel, items.slice(from, from + DESCRIPTORS_PER_MESSAGE));
  }
}

function sendOne(channel: Fd, items: readonly TaggedDescriptor[]): void {
  const address = prepareMessage(items.length);
  view.setBigUint64(CONTROL, BigInt(CMSGHDR + 4 * items.length), true); // cmsg_len
  view.setInt32(CONTROL + 8, SOL_SOCKET, true);
  view.setInt32(CONTROL + 12, SCM_RIGHTS, true);
  items.forEach((item, i) => {
    view.setUint32(TAGS + 4 * i, item.tag, true);
    view.setInt32(CONTROL + CMSGHDR + 4 * i, item.fd, true);
  });
  let sent = sendmsg(channel, address, MSG_DONTWAIT);
  while (sent === -EINTR) sent = sendmsg(channel, address, MSG_DONTWAIT);
  if (sent < 0) throw failure("sendmsg", -sent);
}

/** Everything that waits on `channel`: never blocks; empty when nothing waits or the sender is gone. Throws PENSTOCK_SYS_CALL. */
export function receiveDescriptors(channel: Fd): TaggedDescriptor[] {
  const received: TaggedDescriptor[] = [];
  while (receiveOne(channel, received));
  return received;
}

function receiveOne(channel: Fd, into: TaggedDescriptor[]): boolean {
  const address = prepareMessage(DESCRIPTORS_PER_MESSAGE);
  const bytes = Number(recvmsgCall(channel, address, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
  if (bytes < 0) {
    const value = errno();
    if (value === EINTR) return true;
    if (value === EAGAIN) return false;
    throw failure("recvmsg", value);
  }
  if (bytes === 0) return false;
  const count = view.getBigUint64(40, true) === 0n ? 0 : (Number(view.getBigUint64(CONTROL, true)) - CMSGHDR) / 4;
  for (let i = 0; i < count; i++) {
    into.push({
      tag: view.getUint32(TAGS + 4 * i, true),
      fd: asFd(view.getInt32(CONTROL + CMSGHDR + 4 * i, true)),
    });
  }
  // What was cut off is lost, e.g. because this process may not open more files: the tags that are left say which.
  const flags = view.getInt32(48, true);
  if ((flags & (MSG_TRUNC | MSG_CTRUNC)) !== 0 || count * 4 !== bytes) {
    throw sysError("PENSTOCK_SYS_CALL", { detail: `recvmsg: ${count} of ${bytes / 4} descriptors arrived` });
  }
  return true;
}

/** fcntl(2) F_GETFD: is the descriptor open, and would it survive an execve? Null when it is closed. */
export function closesOnExec(fd: number): boolean | null {
  const flags = fcntlCall(fd, 1, 0) as number;
  return flags < 0 ? null : (flags & 1) !== 0;
}

/** fcntl(2) F_SETFD. Throws PENSTOCK_SYS_CALL. */
export function setCloseOnExec(fd: Fd, on: boolean): void {
  check("fcntl F_SETFD", fcntlCall(fd, 2, on ? 1 : 0));
}

/** include/uapi/linux/close_range.h; the number is the same on every architecture (5.9). */
const SYS_CLOSE_RANGE = 436;
const CLOSE_RANGE_CLOEXEC = 4;

/** Every descriptor from `first` up is closed by the next execve, whoever opened it. Throws PENSTOCK_SYS_CALL. */
export function closeFromOnExec(first: number): void {
  check("close_range", closeRangeCall(SYS_CLOSE_RANGE, first, 0xffff_ffff, CLOSE_RANGE_CLOEXEC) as number | bigint);
}

function failure(call: string, value: number): Error {
  const cause = new SystemCallError(call, value);
  return sysError("PENSTOCK_SYS_CALL", { detail: cause.message, cause });
}
