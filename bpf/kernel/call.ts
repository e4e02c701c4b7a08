/** bpf(2) for the control plane: failures throw, naming the command, its object and the errno. */
import fs from "node:fs";
import { asFd, type Fd } from "#core/brands.ts";
import { bpfError } from "#core/errors/bpf.ts";
import { BPF, bpfCall, putPointer } from "#sys/bpf.ts";
import { SystemCallError } from "#sys/libc.ts";
import { OBJECT_NAME_BYTES } from "./constants.ts";

/** `what` completes the sentence: `map_create blocklist`. */
export function mustCall(command: number, attr: Buffer, what: string): number {
  const result = bpfCall(command, attr);
  if (result < 0) throw callError(what, -result);
  return result;
}

/** As `mustCall`, for commands that answer a new descriptor. It is close-on-exec, by the kernel's choice. */
export function mustOpen(command: number, attr: Buffer, what: string): Fd {
  return asFd(mustCall(command, attr, what));
}

export function callError(what: string, errno: number): Error {
  const cause = new SystemCallError(`bpf ${what}`, errno);
  return bpfError("PENSTOCK_BPF_CALL", { detail: cause.message, cause });
}

/** The errno behind an error of this room; 0 when it is none. */
export function errnoOf(error: unknown): number {
  if (!(error instanceof Error)) return 0;
  return error.cause instanceof SystemCallError ? error.cause.errno : 0;
}

export function closeFd(fd: Fd): void {
  fs.closeSync(fd);
}

/** Writes an object's name as the kernel takes it: 15 characters out of [A-Za-z0-9_.]. */
export function putName(attr: Buffer, offset: number, name: string): void {
  attr.write(name.replaceAll(/[^A-Za-z0-9_.]/g, "_").slice(0, OBJECT_NAME_BYTES - 1), offset, "latin1");
}

/** A name as the kernel keeps it. */
export function readName(bytes: Buffer, offset: number): string {
  const end = bytes.indexOf(0, offset);
  return bytes.toString("latin1", offset, Math.min(end < 0 ? bytes.length : end, offset + OBJECT_NAME_BYTES));
}

/** OBJ_GET_INFO_BY_FD into `length` bytes; what this kernel doesn't know stays 0. */
export function objectInfo(fd: Fd, length: number): Buffer {
  const info = Buffer.alloc(length);
  const attr = Buffer.alloc(16);
  attr.writeUInt32LE(fd, 0);
  attr.writeUInt32LE(length, 4);
  putPointer(attr, 8, info);
  mustCall(BPF.OBJ_GET_INFO_BY_FD, attr, "obj_get_info_by_fd");
  return info;
}
