/**
 * WASI preview 1, as much as toolchains link against: every function of `wasi_snapshot_preview1`, the same under its older
 * name `wasi_unstable`. Types from the interface's witx files (WebAssembly/WASI, phases/snapshot). What is not in
 * `calls.ts` answers that it is not there.
 */
import type { Signature } from "#wasm/validate/signatures.ts";

const I = "i32";
const L = "i64";

function call<const P extends Signature["params"]>(...params: P) {
  return { params, results: [I] } as const;
}

export const WASI_MODULES = ["wasi_snapshot_preview1", "wasi_unstable"] as const;

export const WASI_CALLS = {
  args_get: call(I, I),
  args_sizes_get: call(I, I),
  environ_get: call(I, I),
  environ_sizes_get: call(I, I),
  clock_res_get: call(I, I),
  clock_time_get: call(I, L, I),
  random_get: call(I, I),
  sched_yield: call(),
  proc_exit: { params: [I], results: [] },
  fd_write: call(I, I, I, I),
  fd_close: call(I),
  fd_seek: call(I, L, I, I),
  fd_fdstat_get: call(I, I),
  fd_prestat_get: call(I, I),
  poll_oneoff: call(I, I, I, I),
} as const satisfies Readonly<Record<string, Signature>>;

/** Of files, folders, sockets and processes: a plugin has none. */
export const WASI_ABSENT: Readonly<Record<string, Signature>> = {
  fd_advise: call(I, L, L, I),
  fd_allocate: call(I, L, L),
  fd_datasync: call(I),
  fd_fdstat_set_flags: call(I, I),
  fd_fdstat_set_rights: call(I, L, L),
  fd_filestat_get: call(I, I),
  fd_filestat_set_size: call(I, L),
  fd_filestat_set_times: call(I, L, L, I),
  fd_pread: call(I, I, I, L, I),
  fd_prestat_dir_name: call(I, I, I),
  fd_pwrite: call(I, I, I, L, I),
  fd_read: call(I, I, I, I),
  fd_readdir: call(I, I, I, L, I),
  fd_renumber: call(I, I),
  fd_sync: call(I),
  fd_tell: call(I, I),
  path_create_directory: call(I, I, I),
  path_filestat_get: call(I, I, I, I, I),
  path_filestat_set_times: call(I, I, I, I, L, L, I),
  path_link: call(I, I, I, I, I, I, I),
  path_open: call(I, I, I, I, I, L, L, I, I),
  path_readlink: call(I, I, I, I, I, I),
  path_remove_directory: call(I, I, I),
  path_rename: call(I, I, I, I, I, I),
  path_symlink: call(I, I, I, I, I),
  path_unlink_file: call(I, I, I),
  proc_raise: call(I),
  sock_accept: call(I, I, I),
  sock_recv: call(I, I, I, I, I, I),
  sock_send: call(I, I, I, I, I),
  sock_shutdown: call(I, I),
};

const all: ReadonlyMap<string, Signature> = new Map([...Object.entries(WASI_CALLS), ...Object.entries(WASI_ABSENT)]);

/** The type of a function, by either name of the module; undefined: there is no such function. */
export function wasiSignature(module: string, name: string): Signature | undefined {
  return (WASI_MODULES as readonly string[]).includes(module) ? all.get(name) : undefined;
}

// __wasi_errno_t
export const WASI_SUCCESS = 0;
export const WASI_BADF = 8;
export const WASI_FAULT = 21;
export const WASI_INVAL = 28;
export const WASI_NOSYS = 52;
export const WASI_NOTSUP = 58;
