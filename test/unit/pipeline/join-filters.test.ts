import { describe, expect, it } from "vitest";
import { Data } from "#pipeline/events/data.ts";
import { Message, StreamEnd } from "#pipeline/events/messages.ts";
import { HttpHead } from "#pipeline/http/http-head.ts";
import { pipeline, type Layout } from "#pipeline/layout/layout.ts";
import { rig, rigRuntime } from "#test/support/pipeline-rig.ts";

describe("fork", () => {
  it("gives a side all that passes, and nothing of it comes back", () => {
    const seen: string[] = [];
    const line = rig(($) =>
      $.fork().to(($) =>
        $.handleMessageStart<object>(({ head }) => void seen.push(JSON.stringify(head)))
          .handleData((data) => void seen.push(String(data)))
          .handleStreamEnd(({ error }) => void seen.push(`END ${error}`))
          .replaceData("changed"),
      ),
    );
    line.start({ n: 1 });
    line.data("body");
    line.end();
    line.close();
    expect(line.out.lines).toEqual(['<{"n":1}>', "body", "</>", "END"]);
    expect(seen).toEqual(['{"n":1}', "body", "END "]);
    line.check();
  });

  it("shows a side its own copy of an HTTP head", () => {
    const runtime = rigRuntime();
    const line = rig(
      ($) => $.fork().to(($) => $.handleMessageStart(({ head }) => head.set("x-side", "1"))),
      undefined,
      runtime,
    );
    const head = HttpHead.request(
      { path: "/a?b", headers: { host: "a.test", "x-y": ["1", "2"] } },
      "content-length: 3\r\n",
      runtime,
    );
    line.start(head);
    line.data("abc");
    line.end();
    expect(head.get("x-side")).toBeUndefined();
    expect(head.getAll("x-y")).toEqual(["1", "2"]);
    expect(line.out.lines).toEqual(["<GET /a?b>", "abc", "</>"]);
    head.close();
    line.check();
  });

  it("is not held up by a side that waits, nor by one that never takes anything", () => {
    const line = rig(($) => $.fork().to(($) => $.wait(() => false)));
    for (let i = 0; i < 30; i++) line.data(Buffer.alloc(50_000));
    expect(line.out.text).toHaveLength(1_500_000);
    expect(line.source.isPaused).toBe(false);
    expect(line.runtime.logged.filter((one) => one.includes("keep up"))).toHaveLength(1);
    line.check();
  });

  it("outlives a side that fails", () => {
    const line = rig(($) =>
      $.fork().to(($) =>
        $.handleData(() => {
          throw new Error("tap");
        }),
      ),
    );
    line.data("a");
    line.data("b");
    expect(line.out.text).toBe("ab");
    expect(line.runtime.reported).toHaveLength(1);
    line.check();
  });

  it("has a side for each value, with a context of its own", () => {
    const seen: string[] = [];
    const line = rig<{ name?: string }>(($) =>
      $.onStart((context) => void (context.name = "main"))
        .fork(["a", "b"])
        .to(($) =>
          $.onStart((context, value, i) => void (context.name = `${String(value)}${String(i)}`)).handleData(
            (data, { name }) => void seen.push(`${name} ${data}`),
          ),
        ),
    );
    line.data("x");
    expect(seen).toEqual(["a0 x", "b1 x"]);
    expect(line.instance.context.name).toBe("main");
    line.check();
  });
});

describe("forkJoin", () => {
  it("lets the stream go on when all sides have ended", async () => {
    const done: (() => void)[] = [];
    const line = rig(($) =>
      $.forkJoin([1, 2]).to(($) =>
        $.replaceData(() => new Promise<StreamEnd>((resolve) => done.push(() => resolve(new StreamEnd())))),
      ),
    );
    line.data("x");
    line.close();
    for (const [i, end] of done.entries()) {
      expect(line.out.text).toBe("");
      end();
      await new Promise(setImmediate);
      expect(i).toBeLessThan(2);
    }
    expect(line.out.lines).toEqual(["x", "END"]);
    line.check();
  });

  it("waits for nobody where there are no sides, and not without bound", () => {
    const line = rig(($) => $.forkJoin([]).to(($) => $));
    line.data("x");
    expect(line.out.text).toBe("x");
    line.check();
    const long = rig(($) => $.forkJoin().to(($) => $.handleData(() => {})));
    for (let i = 0; i < 30; i++) long.data(Buffer.alloc(50_000));
    expect(long.out.text).toBe("END too-large");
    long.check();
  });
});

it("forkRace takes the first side that says something, to its end", async () => {
  const line = rig<{ ms?: number }>(($) =>
    $.forkRace([30, 1]).to(($) =>
      $.onStart((context, ms) => void (context.ms = ms as number)).replaceData(async (_data, { ms = 0 }) => {
        await new Promise((resolve) => setTimeout(resolve, ms));
        return [new Data(`${ms}`), new StreamEnd()];
      }),
    ),
  );
  line.data("x");
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(line.out.lines).toEqual(["1", "END"]);
  line.check();
});

describe("pipe", () => {
  const tag = (name: string) => pipeline(($) => $.replaceData((data) => `${data}${name}`).pipeNext());

  it("goes through one pipeline, or a chain of which each decides on the next", () => {
    const end = pipeline(($) => $.replaceData((data) => `${data}.`));
    const line = rig(($) => $.pipe([tag("a"), tag("b"), end, tag("never")]).replaceData((data) => `${data}|`));
    line.data("x");
    line.close();
    expect(line.out.lines).toEqual(["xab.|", "END"]);
    line.check();
  });

  it("chain: plugins that are known beforehand", () => {
    const line = rig(($) => $.chain([tag("a"), tag("b")]).replaceData((data) => `${data}|`));
    line.data("x");
    expect(line.out.text).toBe("xab|");
    line.check();
  });

  it("a chain holds for what begins within it, and no longer", () => {
    const outer = pipeline(($) => $.pipe([tag("1"), tag("2")]).pipeNext());
    const line = rig(($) => $.pipe([outer, tag("3")]));
    line.data("x");
    expect(line.out.text).toBe("x123");
    line.check();
  });

  it("asks a script, with the first event", async () => {
    const line = rig<{ where?: string }>(($) =>
      $.handleData((data, context) => void (context.where ??= String(data))).pipe(({ where }) =>
        where === "a" ? pipeline(($) => $.replaceData("was a")) : undefined,
      ),
    );
    line.data("a");
    expect(line.out.text).toBe("was a");
    line.check();
    const late = rig(($) => $.pipe(async () => pipeline(($) => $.replaceData("later"))));
    late.data("x");
    late.close();
    await new Promise(setImmediate);
    expect(late.out.lines).toEqual(["later", "END"]);
    late.check();
    const nowhere = rig(($) => $.pipe(() => null).pipeNext());
    nowhere.data("x");
    expect(nowhere.out.text).toBe("x");
    nowhere.check();
  });

  it("a script that throws fails its stream", () => {
    const line = rig(($) =>
      $.pipe(() => {
        throw new Error("where?");
      }),
    );
    line.data("x");
    expect(line.out.text).toBe("END script");
    line.check();
  });
});

describe("branch", () => {
  const build = ($: Layout<{ n?: number }>) =>
    $.handleMessageStart<{ n: number }>(({ head }, context) => void (context.n ??= head.n)).branch(
      ({ n = 0 }) => n < 0,
      ($) => $.replaceMessage<object>(() => new Message({}, "negative")),
      ({ n = 0 }) => n === 0,
      ($) => $.replaceMessage<object>(() => new Message({}, "none")),
      ($) => $,
    );

  it.each([
    [-1, "<{}>\nnegative\n</>"],
    [0, "<{}>\nnone\n</>"],
    [1, '<{"n":1}>\n</>'],
  ])("%d", (n, expected) => {
    const line = rig<{ n?: number }>(build);
    line.start({ n });
    line.end();
    expect(line.out.text).toBe(expected);
    line.check();
  });

  it("without a branch for it, a stream passes", () => {
    const line = rig(($) =>
      $.branch(
        () => false,
        ($) => $.replaceData("never"),
      ),
    );
    line.data("x");
    expect(line.out.text).toBe("x");
    line.check();
  });
});

describe("demux", () => {
  it("gives each message an instance, and answers as they are ready", async () => {
    const line = rig<{ n?: number }>(($) =>
      $.demux().to(($) =>
        $.handleMessageStart<{ n: number }>(({ head }, context) => void (context.n = head.n)).replaceMessage<object>(
          async ({ body }, { n = 0 }) => {
            if (n === 1) await new Promise((resolve) => setTimeout(resolve, 30));
            return [new Message({ n }, `${body}!`), new Message({ n }, "too much")];
          },
        ),
      ),
    );
    for (const n of [1, 2, 3]) {
      line.start({ n });
      line.data(`body ${n}`);
      line.end();
    }
    line.close();
    await new Promise((resolve) => setTimeout(resolve, 100));
    const answer = (n: number): string[] => [`<{"n":${n}}>`, `body ${n}!`, "</>"];
    expect(line.out.lines).toEqual([...answer(2), ...answer(3), ...answer(1), "END"]);
    expect(line.instance.context.n).toBeUndefined();
    line.check();
  });

  it("gives up who does not answer, fails or ends, and drops what is too much", () => {
    const line = rig(($) =>
      $.demux({ timeout: "100ms", waitingMax: 2 }).to(($) =>
        $.replaceMessage<{ n: number }>(({ head: { n } }) => {
          if (n === 1) throw new Error("no");
          return n === 2 ? new StreamEnd() : new Promise<Message>(() => {});
        }),
      ),
    );
    for (const n of [1, 2, 3, 4, 5]) {
      line.start({ n });
      line.end();
    }
    expect(line.runtime.logged.filter((one) => one.includes("dropped"))).toHaveLength(1);
    line.close();
    expect(line.out.text).toBe("");
    line.pass(300);
    expect(line.out.text).toBe("END");
    line.check();
  });
});
