/** How many answers of each class there were, in this worker, at `/chain-metrics`. */
import { Message, pipeline } from "penstock";
import type { Request } from "../context.ts";

const answers = new Map<string, number>();

function count(status: number): void {
  const kind = `${Math.floor(status / 100)}xx`;
  answers.set(kind, (answers.get(kind) ?? 0) + 1);
}

export const metrics = pipeline<Request>(($) =>
  $.branch(
    (ctx) => ctx.path === "/chain-metrics",
    ($) =>
      $.replaceMessage(() => {
        const lines = [...answers].map(([kind, number]) => `answers{class="${kind}"} ${number}\n`);
        return new Message({ status: 200, headers: { "content-type": "text/plain" } }, lines.join(""));
      }),
    ($) => $.pipeNext().handleMessageStart<{ status: number }>((msg) => count(msg.head.status)),
  ),
);
