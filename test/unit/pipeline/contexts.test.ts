/** Contexts never leak: tags of many connections, interleaved, split, pipelined and delayed, never cross. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Message } from "#pipeline/events/messages.ts";
import type { Layout } from "#pipeline/layout/layout.ts";
import { pipeline } from "#pipeline/layout/layout.ts";
import { rig, rigRuntime, type Rig } from "#test/support/pipeline-rig.ts";

interface Memory {
  connection?: string;
  tag?: string | undefined;
  seen?: number;
}

/** What a request says of itself comes back three ways: through the upstream, by the context, and by the connection's. */
const tagged = ($: Layout<Memory>): Layout<Memory> =>
  $.demuxHTTP().to(($) =>
    $.handleMessageStart(async (msg, ctx) => {
      if (ctx.tag !== undefined) throw new Error(`the context of ${ctx.tag} was seen by ${msg.head.path}`);
      ctx.tag = msg.head.get("x-tag");
      if (msg.head.path === "/slow") await new Promise((resolve) => setImmediate(resolve));
      ctx.connection ??= msg.head.get("x-connection") ?? "";
    })
      .muxHTTP((ctx) => (ctx.tag ?? "").length % 3)
      .to(($) => $.serveHTTP((msg) => new Message({ headers: { "x-echo": msg.head.get("x-tag") } }, msg.text)))
      .handleMessageStart((msg, ctx) => {
        msg.head.set("x-context", `${ctx.connection}/${ctx.tag}`);
      }),
  );

const connection = fc.array(
  fc.record({ slow: fc.boolean(), tag: fc.string({ unit: "grapheme-ascii", maxLength: 6 }) }),
  {
    minLength: 1,
    maxLength: 6,
  },
);

const runtime = rigRuntime();

test("tags never cross", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(connection, { minLength: 1, maxLength: 5 }),
      fc.infiniteStream(fc.nat({ max: 1000 })),
      async (connections, chances) => {
        const chance = (below: number): number => (chances.next().value as number) % below;
        const shared = pipeline<Memory>(tagged);
        const all = connections.map((requests, c) => {
          const text = requests
            .map(({ slow, tag }, r) => {
              const id = `${c}.${r}.${Buffer.from(tag).toString("hex")}`;
              return `POST /${slow ? "slow" : "fast"} HTTP/1.1\r\nhost: h\r\nx-connection: ${c}\r\nx-tag: ${id}\r\ncontent-length: ${id.length}\r\n\r\n${id}`;
            })
            .join("");
          return { rig: rig<Memory>(shared, {} as never, runtime), text, sent: 0, count: requests.length };
        });
        for (let left = all; left.length > 0; left = left.filter(({ sent, text }) => sent < text.length)) {
          const one = left[chance(left.length)] as (typeof all)[number];
          const bytes = 1 + chance(200);
          one.rig.data(one.text.slice(one.sent, one.sent + bytes));
          one.sent += bytes;
          if (chance(4) === 0) await new Promise((resolve) => setImmediate(resolve));
        }
        for (let i = 0; i < 40; i++) await new Promise((resolve) => setImmediate(resolve));
        for (const [c, one] of all.entries()) check(one.rig, String(c), one.count);
        expect(runtime.reported).toEqual([]);
      },
    ),
    { numRuns: 40 },
  );
});

function check(one: Rig<Memory>, c: string, count: number): void {
  const answers = one.out.text.split(/(?=HTTP\/1.1 )/);
  expect(answers).toHaveLength(count);
  answers.forEach((answer, r) => {
    const [, echo] = /x-echo: (.*)\r/.exec(answer) ?? [];
    expect(answer).toContain(`x-context: ${c}/${echo}\r`);
    expect(answer.endsWith(`\r\n\r\n${echo}`)).toBe(true);
    expect(echo?.startsWith(`${c}.${r}.`)).toBe(true);
  });
  one.instance.dispose();
}
