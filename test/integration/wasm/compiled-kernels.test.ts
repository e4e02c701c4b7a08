/** Programs of a compiler, not of a generator: what they compute does not change by metering, and costs the same each time. */
import asc from "assemblyscript/asc";
import { expect, it } from "vitest";
import { meter, runMetered, runPlain } from "#test/unit/wasm/metered.ts";

const SOURCE = `
export function sieve(n: i32): i32 {
  const composite = new StaticArray<bool>(n + 1)
  let primes = 0
  for (let i = 2; i <= n; i++) {
    if (unchecked(composite[i])) continue
    primes++
    for (let k = i * 2; k <= n; k += i) unchecked(composite[k] = true)
  }
  return primes
}
export function sorted(n: i32): i32 {
  const values = new Array<i32>(n)
  let seed: u32 = 12345
  for (let i = 0; i < n; i++) { seed = seed * 1103515245 + 12345; values[i] = (seed >> 8) as i32 % 1000 }
  values.sort((a, b) => a - b)
  let sum = 0
  for (let i = 0; i < n; i++) sum = sum * 31 + values[i]
  return sum
}
export function words(n: i32): i32 {
  const counts = new Map<string, i32>()
  for (let i = 0; i < n; i++) {
    const word = "w" + (i % 7).toString()
    counts.set(word, counts.has(word) ? counts.get(word) + i : 1)
  }
  return counts.get("w3")
}
export function matrix(n: i32): f64 {
  const a = new Float64Array(n * n), b = new Float64Array(n * n)
  for (let i = 0; i < n * n; i++) { a[i] = i * 0.5; b[i] = i - 3.25 }
  let trace = 0.0
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) for (let k = 0; k < n; k++) if (i == j) trace += a[i * n + k] * b[k * n + j]
  return trace
}
export function ackermann(n: i32): i32 { return ack(2, n) }
function ack(m: i32, n: i32): i32 { return m == 0 ? n + 1 : n == 0 ? ack(m - 1, 1) : ack(m - 1, ack(m, n - 1)) }
export function hash(n: i32): i32 {
  let h: u64 = 0xcbf29ce484222325
  for (let i = 0; i < n; i++) { h ^= i; h *= 0x100000001b3; h = rotl<u64>(h, 7) + (h % 97) }
  return h as i32 ^ (h >> 32) as i32
}
export function fails(n: i32): i32 { const a = new Array<i32>(3); return a[n] }`;

async function compile(level: string): Promise<Uint8Array> {
  let wasm = new Uint8Array();
  const { error, stderr } = await asc.main(
    [
      "k.ts",
      "--outFile",
      "k.wasm",
      "--runtime",
      "stub",
      "--bindings",
      "none",
      "--use",
      "abort=",
      "--optimizeLevel",
      level,
    ],
    {
      readFile: (name) => (name === "k.ts" ? SOURCE : null),
      writeFile: (_, contents) => {
        wasm = new Uint8Array(Buffer.from(contents));
      },
      listFiles: () => [],
    },
  );
  if (error !== null) throw new Error(String(stderr));
  return wasm;
}

const CALLS: readonly (readonly [string, readonly number[]])[] = [
  ["sieve", [10, 5000]],
  ["sorted", [1, 2, 300]],
  ["words", [4, 500]],
  ["matrix", [1, 12]],
  ["ackermann", [0, 6]],
  ["hash", [0, 1, 2000]],
  ["fails", [0, 3, -1]],
];

for (const level of ["0", "3"]) {
  it(`AssemblyScript at optimisation level ${level}`, async () => {
    const source = await compile(level);
    const metered = meter(source);
    for (const [name, inputs] of CALLS) {
      for (const input of inputs) {
        const plain = runPlain(source, name, [input]);
        const first = runMetered(metered, name, [input]);
        expect({ name, input, result: first.result, state: first.state }).toEqual({ name, input, ...plain });
        expect(runMetered(metered, name, [input]).fuel).toBe(first.fuel);
        if (typeof plain.result === "string") continue;
        expect(runMetered(metered, name, [input], first.fuel).result).toBe(plain.result);
        expect(runMetered(metered, name, [input], first.fuel - 1).result).toBe("RuntimeError: unreachable");
      }
    }
  });
}
