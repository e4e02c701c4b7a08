/** The committed objects of this product, read once. */
import fs from "node:fs";
import path from "node:path";
import { readSpec } from "#bpf/spec/read.ts";
import type { CollectionSpec } from "#bpf/spec/spec.ts";

const FOLDER = path.join(import.meta.dirname, "../obj");
const specs = new Map<string, CollectionSpec>();

/** `name`: of a file in obj/, without the ending. */
export function committedSpec(name: string): CollectionSpec {
  const known = specs.get(name);
  if (known !== undefined) return known;
  const spec = readSpec(fs.readFileSync(path.join(FOLDER, `${name}.o`)));
  specs.set(name, spec);
  return spec;
}
