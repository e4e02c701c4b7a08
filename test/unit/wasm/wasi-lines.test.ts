/** What a plugin of another gateway prints: one line of the log for each of its lines, however many pieces it comes in. */
import { setImmediate as turn } from "node:timers/promises";
import { expect, it } from "vitest";
import { TestExchange } from "#test/support/wasm.ts";
import { made, onRequestHeaders, proxyModule } from "./proxy-wasm/guest.ts";

/** Writes each text by a call of its own. */
function printing(pieces: readonly (readonly [fd: number, text: string])[], end = ""): Uint8Array {
  let at = 0;
  const data: string[] = [];
  const calls = pieces.map(([fd, text]) => {
    const bytes = Buffer.from(text, "latin1");
    const escaped = Array.from(bytes, (byte) => `\\${byte.toString(16).padStart(2, "0")}`).join("");
    data.push(`(data (i32.const ${at}) "${escaped}")`);
    const call = `(i32.store (i32.const 1024) (i32.const ${at})) (i32.store (i32.const 1028) (i32.const ${bytes.length}))
      (drop (call $write (i32.const ${fd}) (i32.const 1024) (i32.const 1) (i32.const 1032)))`;
    at += bytes.length;
    return call;
  });
  const imports = `(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))`;
  const functions = `${data.join("\n")} ${onRequestHeaders(`${calls.join("\n")} ${end} (i32.const 0)`)}`;
  return proxyModule({ imports, functions });
}

async function printed(
  ...args: Parameters<typeof printing>
): Promise<{ at: readonly string[]; after: readonly string[] }> {
  const { filter, services } = await made(printing(...args));
  filter.requestHead(new TestExchange(), 0);
  const at = services.logs.splice(0);
  await turn();
  filter.dispose();
  return { at, after: services.logs };
}

it("pieces of a line are one line", async () => {
  const pieces = [
    [2, "thread '"],
    [2, "main"],
    [2, "' panicked\n"],
    [1, "one\ntwo\n"],
    [1, "\n"],
  ] as const;
  const { at, after } = await printed(pieces);
  expect(at).toEqual(["error sample@1 thread 'main' panicked", "info sample@1 one\ntwo"]);
  expect(after).toEqual([]);
});

it("both streams are told apart, and what has no end is told when the turn is over", async () => {
  const { at, after } = await printed([
    [1, "a"],
    [2, "b"],
    [1, "c"],
    [2, "d\n"],
    [1, "\xc3"],
    [1, "\xa9"],
  ]);
  expect(at).toEqual(["error sample@1 bd"]);
  expect(after).toEqual(["info sample@1 acé"]);
});

it("what a guest was about to say when it ended is told", async () => {
  const { at, after } = await printed(
    [
      [2, "about to "],
      [2, "fail"],
    ],
    "unreachable",
  );
  expect(at.map((line) => line.slice(0, 20))).toEqual(["warn sample@1 trap: "]);
  expect(after).toEqual(["error sample@1 about to fail"]);
});

it("a line without end is told in parts", async () => {
  const again = `(local.set $a (i32.const 20))
    (loop $l (drop (call $write (i32.const 1) (i32.const 1024) (i32.const 1) (i32.const 1032)))
      (br_if $l (local.tee $a (i32.sub (local.get $a) (i32.const 1)))))`;
  const { at, after } = await printed([[1, "x".repeat(900)]], again);
  // 19 pieces are more than 16 KiB; a line of the log has its own bound.
  expect(at.map((line) => line.slice(0, 15))).toEqual(["info sample@1 x"]);
  expect(after).toEqual([`info sample@1 ${"x".repeat(1800)}`]);
});
