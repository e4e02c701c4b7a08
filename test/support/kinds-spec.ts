import fs from "node:fs";
import path from "node:path";
import { readSpec } from "#bpf/spec/read.ts";
import type { CollectionSpec } from "#bpf/spec/spec.ts";

/** test/support/bpf/src/kinds.bpf.c */
export function kindsSpec(): CollectionSpec {
  return readSpec(fs.readFileSync(path.join(import.meta.dirname, "bpf/obj/kinds.o")));
}
