/** `penstock tap`: live exchanges, as they end: a sample, with what may be a secret taken out. */
import { setTimeout as sleep } from "node:timers/promises";
import type { TappedExchange } from "#observe/tap.ts";
import { flagOption, positionals, textOption } from "./arguments.ts";
import { Client } from "./client.ts";
import { printFailure } from "./failure.ts";
import { UsageError, type Output, type Verb } from "./verb.ts";

const POLL_MS = 500;

export const tap: Verb = {
  summary: "live: a sample of the exchanges that go through, secrets redacted",
  usage: ["tap [--route TENANT/NAME] [--headers] [--count N]"],
  examples: ["tap", "tap --route acme/orders --headers", "tap --count 10 --json"],
  options: { route: { type: "string" }, headers: { type: "boolean" }, count: { type: "string" } },
  run: async (args, out, context) => {
    positionals(args);
    const route = textOption(args, "route");
    if (route !== undefined && !route.includes("/")) throw new UsageError(`"${route}" lacks its tenant: TENANT/NAME`);
    const count = Number(textOption(args, "count") ?? Infinity);
    if (!(count >= 1)) throw new UsageError("--count takes a number from 1");
    const withHeaders = flagOption(args, "headers");
    const client = Client.of(args, context);
    try {
      let after: string | undefined;
      for (let shown = 0; shown < count;) {
        const { body } = await client.get("/v1/tap", { route, after });
        const { exchanges, next } = body as { exchanges: readonly TappedExchange[]; next: string };
        after = next === "" ? undefined : next;
        for (const one of exchanges.slice(0, count - shown)) {
          print(one, withHeaders, out);
          shown++;
        }
        if (shown < count) await sleep(POLL_MS);
      }
      return 0;
    } catch (error) {
      return printFailure(error, out);
    }
  },
};

function print(exchange: TappedExchange, withHeaders: boolean, out: Output): void {
  if (out.json) {
    out.print(JSON.stringify(exchange));
    return;
  }
  const { timeMs, client, method, host, target, route, upstream, status, outcome, durationMs, headers } = exchange;
  const time = new Date(timeMs).toISOString().slice(11, 23);
  const way = `${route || "no route"} → ${upstream || "nowhere"}`;
  const line = `${time} ${status} ${durationMs.toFixed(1)}ms ${client} ${method} ${host}${target} (${way}, ${outcome})`;
  out.print(out.interactive && line.length > out.width ? `${line.slice(0, out.width - 1)}…` : line);
  if (withHeaders) for (const [name, value] of headers) out.print(`    ${name}: ${value}`);
}
