/** Parts of the component format that several sections share. */
import { type ByteReader, refused } from "#wasm/validate/reader.ts";
import { CORE_FUNCTION, CORE_GLOBAL, CORE_MEMORY, CORE_TABLE, type CoreSort } from "./graph.ts";

const VECTOR_MAX = 10_000;

export function each(reader: ByteReader, read: () => void): void {
  for (let left = reader.count("entries", VECTOR_MAX); left > 0; left--) read();
}

/** The entry of an index space that the next number names. */
export function at<T>(space: readonly T[], reader: ByteReader, what: string): T {
  const offset = reader.at;
  const index = reader.u32();
  const entry = space[index];
  if (entry === undefined) throw refused(offset, `${what} ${index}, which there is not`);
  return entry;
}

export function coreSort(reader: ByteReader): CoreSort {
  const offset = reader.at;
  const sort = reader.u8();
  if (sort === CORE_FUNCTION || sort === CORE_TABLE || sort === CORE_MEMORY || sort === CORE_GLOBAL) return sort;
  throw refused(offset, sort === 4 ? "exception handling (a tag)" : `core sort ${sort}`);
}

/** `importname'` and `exportname'`: a byte, a name, and since some versions a suffix. */
export function externName(reader: ByteReader): string {
  const form = reader.u8();
  const name = reader.name();
  if (form === 2) reader.name();
  return name;
}

/** Passes over an `externdesc`; answers its sort. */
export function externType(reader: ByteReader): number {
  const offset = reader.at;
  const sort = reader.u8();
  if (sort === 0) reader.u8(); // core: a module
  if (sort === 3) {
    if (reader.u8() === 0) reader.u32(); // equal to a type; else some resource
    return sort;
  }
  if (sort === 2) throw refused(offset, "a value as an import or export");
  reader.u32();
  return sort;
}
