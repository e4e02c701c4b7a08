/** Memory outside V8's heap: anonymous and descriptor-backed mappings, seen as ArrayBuffers. Never unmapped while viewed. */
import { errno, koffi, libc, SystemCallError } from "./libc.ts";

const mmapCall = libc.func("void *mmap(void *addr, size_t length, int prot, int flags, int fd, long offset)");
const munmapCall = libc.func("int munmap(void *addr, size_t length)");

const MAP_FAILED = 0xffff_ffff_ffff_ffffn;
export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const MAP_SHARED = 0x01;
export const MAP_PRIVATE = 0x02;
export const MAP_ANONYMOUS = 0x20;
export const MAP_POPULATE = 0x8000;

export interface Mapping {
  /** Address in this process, for structures the kernel reads. */
  readonly address: bigint;
  readonly bytes: ArrayBuffer;
  unmap(): void;
}

/** mmap(2). `length` in bytes, a multiple of the page size where `fd` ≥ 0. Throws SystemCallError. */
export function mapMemory(
  length: number,
  fd = -1,
  offset = 0,
  flags = MAP_PRIVATE | MAP_ANONYMOUS,
  prot = PROT_READ | PROT_WRITE,
): Mapping {
  const pointer = mmapCall(null, length, prot, flags, fd, offset);
  const address = koffi.address(pointer);
  if (address === MAP_FAILED) throw new SystemCallError("mmap", errno(), `${length} bytes`);
  return {
    address,
    bytes: koffi.view(pointer, length),
    unmap: () => {
      munmapCall(pointer, length);
    },
  };
}

/** The address of a Buffer's first byte, for passing pointers inside structures. The caller keeps the Buffer alive. */
export function addressOf(bytes: Uint8Array): bigint {
  return koffi.address(bytes);
}
