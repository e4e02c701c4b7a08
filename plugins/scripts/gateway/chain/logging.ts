/** A line for each request, when its answer begins. */
import { pipeline } from "penstock";
import type { Request } from "../context.ts";

export const logging = pipeline<Request>(($) =>
  $.handleMessageStart((msg, ctx) => {
    ctx.method = msg.head.method;
    ctx.path = msg.head.path;
    ctx.startedMs = performance.now();
  })
    .pipeNext()
    .handleMessageStart<{ status: number }>((msg, ctx) => {
      const ms = performance.now() - (ctx.startedMs ?? 0);
      console.log(`${ctx.inbound.remoteAddress} ${ctx.method} ${ctx.path} ${msg.head.status} ${ms.toFixed(1)} ms`);
    }),
);
