import { brotliCompressSync, gunzipSync, gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import type { Coding } from "#pipeline/codecs/codings.ts";
import { rig } from "#test/support/pipeline-rig.ts";

const TEXT = "to be or not to be, that is the question\n".repeat(500);

/** The thread pool is at work: lets it come back. */
async function until(done: () => boolean): Promise<void> {
  for (let i = 0; i < 5000 && !done(); i++) await new Promise((resolve) => setTimeout(resolve, 1));
}

describe.each<Coding>(["gzip", "br", "zstd"])("%s", (coding) => {
  it("messages come back as they were, in order", async () => {
    const line = rig(($) => $.compress(coding).decompress(coding));
    for (const n of [1, 2]) {
      line.start({ n });
      line.data(TEXT.slice(0, 7000));
      line.data(TEXT.slice(7000));
      line.end({ tail: n });
    }
    line.close();
    await until(() => line.out.lines.includes("END"));
    expect(line.out.lines).toEqual(['<{"n":1}>', TEXT, '</ {"tail":1}>', '<{"n":2}>', TEXT, '</ {"tail":2}>', "END"]);
    expect(line.source.isPaused).toBe(false);
    line.check();
  });

  it("so does a stream of bytes", async () => {
    const line = rig(($) => $.compress(coding).decompress(coding));
    line.data(TEXT);
    line.close();
    await until(() => line.out.lines.includes("END"));
    expect(line.out.text).toBe(`${TEXT}\nEND`);
    line.check();
  });

  it("what is no such coding is malformed", async () => {
    const line = rig(($) => $.decompress(coding));
    line.start({});
    line.data("this is plain text");
    line.end();
    await until(() => line.out.lines.length > 1);
    expect(line.out.text).toBe("<{}>\nEND malformed");
    line.check();
  });

  it("nothing comes out of a stream that is over", async () => {
    const line = rig(($) => $.compress(coding));
    line.data(TEXT);
    line.check();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(line.out.text).toBe("");
  });
});

it("compresses for others", async () => {
  const line = rig(($) => $.compress("gzip"));
  line.data(TEXT);
  line.close();
  await until(() => line.out.lines.includes("END"));
  expect(gunzipSync(Buffer.from(line.out.lines[0] ?? "", "latin1")).toString()).toBe(TEXT);
  line.check();
});

it("a few bytes do not become many", async () => {
  const line = rig(($) => $.decompress("br", { bytesMax: 100_000 }));
  line.start({});
  line.data(brotliCompressSync(Buffer.alloc(10_000_000)));
  line.end();
  await until(() => line.out.lines.at(-1) === "END too-large");
  expect(line.out.lines.at(-1)).toBe("END too-large");
  line.check();
});

it("a script says which, or none", async () => {
  const line = rig<{ coding?: Coding }>(($) =>
    $.handleMessageStart<{ coding?: Coding }>(({ head }, context) => {
      if (head.coding === undefined) delete context.coding;
      else context.coding = head.coding;
    }).decompress(({ coding }) => coding),
  );
  line.start({ coding: "gzip" });
  line.data(gzipSync("packed"));
  line.end();
  line.start({});
  line.data("plain");
  line.end();
  await until(() => line.out.lines.length === 6);
  expect(line.out.lines).toEqual(['<{"coding":"gzip"}>', "packed", "</>", "<{}>", "plain", "</>"]);
  line.check();
});

it("a reader that is slow stops who feeds", async () => {
  let release = (): void => {};
  const line = rig(($) =>
    $.compress("gzip", { level: 0 }).handleData(() => new Promise<void>((resolve) => (release = resolve))),
  );
  for (let i = 0; i < 40; i++) line.data(Buffer.alloc(16_384, i));
  expect(line.source.isPaused).toBe(true);
  line.close();
  for (let i = 0; i < 2000 && !line.out.lines.includes("END"); i++) {
    release();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  expect(line.out.lines.at(-1)).toBe("END");
  expect(gunzipSync(Buffer.from(line.out.lines[0] ?? "", "latin1"))).toHaveLength(40 * 16_384);
  line.check();
});
