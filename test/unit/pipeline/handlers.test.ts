/** What scripts see, change, delay and break: `handle…` and `replace…`. */
import { expect, test } from "vitest";
import { Data } from "#pipeline/events/data.ts";
import { Message, MessageEnd, MessageStart, StreamEnd } from "#pipeline/events/messages.ts";
import { rig } from "#test/support/pipeline-rig.ts";

test("what is looked at passes as it was", () => {
  const seen: string[] = [];
  const one = rig(($) =>
    $.handleStreamStart((first) => void seen.push(first.constructor.name))
      .handleMessageStart<{ id: number }>((msg) => void seen.push(`start ${msg.head.id}`))
      .handleData((data) => void seen.push(`data ${data.toString()}`))
      .handleMessageEnd(() => void seen.push("end"))
      .handleStreamEnd((end) => void seen.push(`close ${end.error}`)),
  );
  one.start({ id: 7 });
  one.data("abc");
  one.end();
  one.close();
  expect(one.out.text).toBe('<{"id":7}>\nabc\n</>\nEND');
  expect(seen).toEqual(["MessageStart", "start 7", "data abc", "end", "close "]);
  one.check();
});

test("what a handler answers takes the event's place, in order, or removes it", () => {
  const one = rig(($) =>
    $.replaceMessageStart<{ id: number }>((msg) => [new MessageStart({ id: msg.head.id + 1 }), new Data("first ")])
      .replaceData((data) => data.toString().toUpperCase())
      .replaceMessageEnd((end) => ["!", end])
      .replaceStreamEnd(),
  );
  one.start({ id: 1 });
  one.data("abc");
  one.end();
  one.close();
  expect(one.out.text).toBe('<{"id":2}>\nFIRST ABC!\n</>');
  one.check();
});

test("a window that is passed on is not copied, and shows nothing once its handler is done", () => {
  let kept = new Data();
  const one = rig(($) => $.replaceData((data) => (kept = data)));
  one.data("secret");
  expect(one.out.text).toBe("secret");
  expect(() => kept.toString()).toThrow(/given back/);
  one.check();
});

test("a promise makes the stream wait, and its source; what came meanwhile follows in order", async () => {
  let open = (): void => {};
  const gate = new Promise<void>((resolve) => (open = resolve));
  const one = rig(($) => $.handleMessageStart(() => gate));
  one.start({});
  one.data("a");
  one.data("b");
  one.end();
  expect([one.out.text, one.source.isPaused]).toEqual(["", true]);
  open();
  await gate;
  await Promise.resolve();
  expect([one.out.text, one.source.isPaused]).toEqual(["<{}>\nab\n</>", false]);
  one.start({});
  one.check();
});

test("a handler may read bytes until its promise has settled", async () => {
  let kept = new Data();
  const one = rig(($) =>
    $.replaceData(async (data) => {
      kept = data;
      await Promise.resolve();
      return `<${data.toString()}>`;
    }),
  );
  one.data("a");
  one.data("b");
  await new Promise((resolve) => setImmediate(resolve));
  expect(one.out.text).toBe("<a><b>");
  expect(() => kept.view()).toThrow(/given back/);
  one.check();
});

test("whole messages, whole streams, and their bound", () => {
  const one = rig(($) => $.replaceMessage<{ id: number }>((msg) => new Message(msg.head, `${msg.text}${msg.text}`)));
  one.start({ id: 1 });
  one.data("ab");
  one.data("c");
  one.end();
  one.close();
  expect(one.out.text).toBe('<{"id":1}>\nabcabc\n</>\nEND');
  one.check();

  const two = rig(($) => $.replaceStream((data) => `${data.size}`, { bytesMax: 5 }));
  two.data("abc");
  two.data("de");
  two.close();
  expect(two.out.text).toBe("5\nEND");
  two.check();

  const three = rig(($) => $.handleMessage(() => {}, { bytesMax: 5 }));
  three.start({});
  three.data("abcdef");
  three.end();
  expect(three.out.text).toBe("END too-large");
  three.check();
});

test.each([
  ["throws", () => fail()],
  ["rejects", async () => fail()],
  ["answers what is no event", () => 7 as unknown as null],
  ["promises what is no event", async () => 7 as unknown as null],
])("a handler that %s ends this stream, and is logged", async (_, handler) => {
  const one = rig(($) => $.replaceData(handler));
  one.data("a");
  await new Promise((resolve) => setImmediate(resolve));
  one.data("b");
  one.close();
  expect(one.out.text).toBe("END script");
  expect(one.runtime.reported).toHaveLength(1);
  one.check();
});

function fail(): never {
  throw new Error("oh");
}

test("what a promise brings after the end goes nowhere", async () => {
  const one = rig(($) => $.replaceData(async () => "late"));
  one.data("a");
  one.instance.dispose();
  await new Promise((resolve) => setImmediate(resolve));
  expect(one.out.text).toBe("");
  one.check();
});

test("contexts: set at the start, told at the end", () => {
  const told: (string | undefined)[] = [];
  const one = rig<{ name?: string }>(($) =>
    $.onStart((ctx) => {
      ctx.name = "kim";
      return new MessageStart({});
    })
      .handleMessageStart((_, ctx) => void told.push(ctx.name))
      .onEnd((ctx) => void told.push(ctx.name)),
  );
  one.end();
  one.close();
  expect(one.out.text).toBe("<{}>\n</>\nEND");
  one.check();
  expect(told).toEqual(["kim", "kim"]);
  expect([new MessageEnd().tail, new StreamEnd().error]).toEqual([null, ""]);
});

test("the whole stream, when it has ended; what it began with in another's place", () => {
  const seen: string[] = [];
  const one = rig(($) => $.handleStream((data) => void seen.push(data.toString())));
  one.data("a");
  one.data("b");
  expect([seen, one.out.text]).toEqual([[], ""]);
  one.close();
  expect([seen, one.out.text]).toEqual([["ab"], "ab\nEND"]);
  one.check();

  const first = rig(($) => $.replaceStreamStart((event) => ["hello ", event]));
  first.data("a");
  first.data("b");
  first.close();
  expect(first.out.text).toBe("hello ab\nEND");
  first.check();

  const bounded = rig(($) => $.handleStream(() => {}, { bytesMax: 1 }));
  bounded.data("ab");
  expect(bounded.out.text).toBe("END too-large");
  bounded.check();
});
