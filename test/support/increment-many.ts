/** Adds 1 to the first counter of the map in descriptor 3, as often as it is told, and prints the greatest sum it saw. */
import { asFd } from "#core/brands.ts";
import { KernelMap } from "#worker/maps/kernel-map.ts";

const map = new KernelMap(
  { name: "counts", type: "lru-hash", key: "bytes", keyBytes: 4, value: "counter", valueBytes: 8, maxEntries: 1024 },
  asFd(3),
);
const key = Buffer.alloc(4);
let greatest = 0n;
for (let i = 0; i < Number(process.argv[2]); i++) {
  const sum = map.increment(key, 1n);
  if (sum > greatest) greatest = sum;
}
if (map.failures > 0) throw new Error(`${map.failures} failures`);
process.stdout.write(String(greatest));
