/** Every committed object, read, its maps made and its programs verified; attached to nothing. */
import fs from "node:fs";
import path from "node:path";
import { Collection } from "#bpf/kernel/collection.ts";
import { readSpec } from "#bpf/spec/read.ts";

const FOLDER = path.join(import.meta.dirname, "../../../bpf/obj");

export interface Loading {
  readonly objects: number;
  readonly ms: number;
}

/** The least of the rounds. Closing is not in it. */
export function loadAll(rounds: number): Loading {
  const files = fs.readdirSync(FOLDER).filter((name) => name.endsWith(".o"));
  const found: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const loaded: Collection[] = [];
    const start = performance.now();
    try {
      for (const file of files) loaded.push(Collection.load(readSpec(fs.readFileSync(path.join(FOLDER, file)))));
      found.push(performance.now() - start);
    } finally {
      for (const each of loaded) each.close();
    }
  }
  return { objects: files.length, ms: Math.min(...found) };
}
