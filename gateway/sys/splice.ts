/**
 * splice(2): bytes from a socket into a pipe and out of it again, as references to the kernel's pages. Calls of the data
 * plane never throw and answer a negative errno. Sockets must be non-blocking: the flag for it that splice takes is for the
 * pipe's side only (net/ipv4/tcp.c, tcp_splice_read; fs/splice.c, splice_to_socket).
 */
import { errno, libc } from "./libc.ts";
import { close } from "./socket.ts";

const pipeCall = libc.func("int pipe2(int *ends, int flags)");
const resizeCall = libc.func("int fcntl(int fd, int command, int value)");
const spliceCall = libc.func(
  "int64_t splice(int from, uintptr_t fromOffset, int to, uintptr_t toOffset, size_t length, uint32_t flags)",
);

/** linux/fcntl.h, asm-generic/fcntl.h, linux/splice.h */
const F_SETPIPE_SZ = 1031;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
const SPLICE_F_MOVE = 1;
const SPLICE_F_NONBLOCK = 2;

export interface Pipe {
  readonly into: number;
  readonly out: number;
}

const ends = new Int32Array(2);

/** A pipe for `bytes`; null where the process or its user may have no more, or none that large (pipe(7), pipe-user-pages-soft). */
export function openPipe(bytes: number): Pipe | null {
  if (pipeCall(ends, O_NONBLOCK | O_CLOEXEC) !== 0) return null;
  const pipe = { out: ends[0] as number, into: ends[1] as number };
  if ((resizeCall(pipe.into, F_SETPIPE_SZ, bytes) as number) >= bytes) return pipe;
  closePipe(pipe);
  return null;
}

export function closePipe({ into, out }: Pipe): void {
  close(into);
  close(out);
}

/** Moves up to `bytes`, one end of it a pipe: how many, 0 at the end of the stream, or −errno. */
export function splice(from: number, to: number, bytes: number): number {
  const result = spliceCall(from, 0, to, 0, bytes, SPLICE_F_MOVE | SPLICE_F_NONBLOCK) as number;
  return result < 0 ? -errno() : result;
}
