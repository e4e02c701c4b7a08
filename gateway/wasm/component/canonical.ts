/** Canonical functions: where core functions become a component's, and the other way round. */
import { type ByteReader, refused } from "#wasm/validate/reader.ts";
import { at, each } from "./cursor.ts";
import { type ComponentFunction, CORE_FUNCTION, CORE_MEMORY, type CoreItem, type Scope } from "./graph.ts";

interface CanonicalOptions {
  realloc: CoreItem | null;
  postReturn: CoreItem | null;
}

/** One entry of the section: a function lifted, lowered, or of a resource. */
export function canonical(reader: ByteReader, scope: Scope): void {
  const { at: offset } = reader;
  const functions = scope.core[CORE_FUNCTION];
  const opcode = reader.u8();
  switch (opcode) {
    case 0: {
      reader.u8();
      const core = at(functions, reader, "core function");
      const { postReturn } = canonicalOptions(reader, scope);
      reader.u32(); // its type
      scope.functions.push({ kind: "lifted", core, postReturn, instances: scope.made, offset });
      return;
    }
    case 1: {
      reader.u8();
      const lowered: ComponentFunction = at(scope.functions, reader, "function");
      const { realloc } = canonicalOptions(reader, scope);
      functions.push({ kind: "lowered", function: lowered, realloc, offset });
      return;
    }
    case 2:
    case 3:
    case 4:
      reader.u32();
      functions.push({ kind: "resource", does: opcode === 3 ? "drop" : opcode === 2 ? "new" : "rep", offset });
      return;
    default:
      throw refused(
        offset,
        `canonical function 0x${opcode.toString(16)} (tasks, streams and futures are not run here)`,
      );
  }
}

function canonicalOptions(reader: ByteReader, scope: Scope): CanonicalOptions {
  const options: CanonicalOptions = { realloc: null, postReturn: null };
  each(reader, () => {
    const { at: offset } = reader;
    const option = reader.u8();
    if (option === 0) return; // UTF-8
    if (option === 3) at(scope.core[CORE_MEMORY], reader, "core memory");
    else if (option === 4) options.realloc = at(scope.core[CORE_FUNCTION], reader, "core function");
    else if (option === 5) options.postReturn = at(scope.core[CORE_FUNCTION], reader, "core function");
    else if (option <= 2)
      throw refused(offset, "strings in UTF-16 or Latin-1: build the component with UTF-8 (`string-encoding=utf8`)");
    else throw refused(offset, "an asynchronous function: build the component without async");
  });
  return options;
}
