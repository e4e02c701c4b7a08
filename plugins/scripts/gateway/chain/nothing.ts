/** The end of the chain: nobody wanted it. */
import { Message, pipeline } from "penstock";
import type { Request } from "../context.ts";

export const nothing = pipeline<Request>(($) =>
  $.replaceMessage(new Message({ status: 404, headers: { "content-type": "text/plain" } }, "no such page\n")),
);
