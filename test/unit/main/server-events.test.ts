import { expect, it } from "vitest";
import { serverEvents } from "#main/cli/server-events.ts";

const STREAM = Buffer.from(
  'retry: 1000\n\n: alive\n\nid: 7\nevent: revision\ndata: {"who":"größe"}\n\ndata: plain\n\ndata: not yet',
);

async function* inPieces(size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < STREAM.length; at += size) yield STREAM.subarray(at, at + size);
}

it.each([1, 2, 7, 1000])("whole events that have data, %d bytes at a time", async (size) => {
  const found = await Array.fromAsync(serverEvents(inPieces(size)));
  expect(found).toEqual([
    { kind: "revision", data: '{"who":"größe"}' },
    { kind: "", data: "plain" },
  ]);
});
