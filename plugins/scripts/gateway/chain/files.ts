/** Files that were read with the script: what is not among them is the next one's. */
import { load, Message, pipeline } from "penstock";
import type { Request } from "../context.ts";

interface Asset {
  readonly type: string;
  readonly bytes: Uint8Array;
}

const ASSETS: Readonly<Record<string, Asset>> = {
  "/": { type: "text/html; charset=utf-8", bytes: load("./home/index.html") },
};

export const files = pipeline<Request>(($) =>
  $.branch(
    (ctx) => (ctx.method === "GET" || ctx.method === "HEAD") && ASSETS[ctx.path ?? ""] !== undefined,
    ($) =>
      $.replaceMessage((_msg, ctx) => {
        const { type = "", bytes = "" } = ASSETS[ctx.path ?? ""] ?? {};
        return new Message({ status: 200, headers: { "content-type": type } }, bytes);
      }),
    ($) => $.pipeNext(),
  ),
);
