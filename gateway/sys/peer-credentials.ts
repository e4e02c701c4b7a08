/** Who is at the other end of a Unix socket, as the kernel noted it when the connection was made (unix(7), SO_PEERCRED). */
import type { Fd } from "#core/brands.ts";
import { sysError } from "#core/errors/sys.ts";
import { errno, koffi, libc, SystemCallError } from "./libc.ts";

const getsockoptCall = libc.func("int getsockopt(int fd, int level, int option, void *value, void *length)");

const SOL_SOCKET = 1;
/** include/uapi/asm-generic/socket.h */
const SO_PEERCRED = 17;

/** struct ucred: pid_t, uid_t, gid_t. */
const ucred = new Uint32Array(3);
const length = new Uint32Array(1);
const ucredPointer = koffi.as(ucred, "void *");
const lengthPointer = koffi.as(length, "void *");

/** The user id of the peer. Throws PENSTOCK_SYS_CALL: the descriptor is no Unix socket, or closed. */
export function peerUid(fd: Fd): number {
  length[0] = ucred.byteLength;
  if (getsockoptCall(fd, SOL_SOCKET, SO_PEERCRED, ucredPointer, lengthPointer) === 0) return ucred[1] as number;
  const cause = new SystemCallError("getsockopt SO_PEERCRED", errno());
  throw sysError("PENSTOCK_SYS_CALL", { detail: cause.message, cause });
}
