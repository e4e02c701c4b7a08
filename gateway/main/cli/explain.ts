/** `penstock explain`: what a worker would do with a request, and why. */
import { positionals, textOption, textOptions } from "./arguments.ts";
import { Client } from "./client.ts";
import { printFailure } from "./failure.ts";
import type { Explanation } from "#control/protocol.ts";
import { UsageError, type Verb } from "./verb.ts";

export const explain: Verb = {
  summary: "what the gateway would do with a request, without sending it",
  usage: [
    "explain METHOD URL [-H 'NAME: VALUE']... [--listener NAME]",
    "explain OPEN tcp://SERVER-NAME-OR-DESTINATION --listener NAME [--from IP]",
  ],
  examples: [
    "explain GET http://shop.acme.example/orders -H 'x-beta: 1'",
    "explain OPEN tcp://db.acme.example --listener pass --from 10.1.2.3",
  ],
  options: {
    header: { type: "string", short: "H", multiple: true },
    listener: { type: "string" },
    from: { type: "string" },
  },
  run: async (args, out, context) => {
    const [method = "", url = ""] = positionals(args, "METHOD", "URL");
    if (!URL.canParse(url)) throw new UsageError(`"${url}" is no absolute URL such as http://shop.example/orders`);
    const header = textOptions(args, "header");
    const wrong = header.find((field) => !/^[^:\s]+:/.test(field));
    if (wrong !== undefined) throw new UsageError(`-H '${wrong}' is no header such as 'x-beta: 1'`);
    const from = textOption(args, "from");
    if (from !== undefined) header.push(`source: ${from}`);
    try {
      const query = { method, url, header, listener: textOption(args, "listener") };
      const { body } = await Client.of(args, context).get("/v1/explain", query);
      out.print(out.json ? JSON.stringify(body) : lines(body as Explanation).join("\n"));
      return 0;
    } catch (error) {
      return printFailure(error, out);
    }
  },
};

const RUNS = { "built-in": "built in", wasm: "Wasm" } as const;

function lines({ revision, listener, kernel, route, filters, action, reasons }: Explanation): string[] {
  const order = filters.map(({ name, runs }, index) => `${index + 1}. ${name} (${RUNS[runs]})`);
  return [
    `revision  ${revision}`,
    `listener  ${listener}`,
    ...block("kernel", kernel),
    `route     ${route === null ? "none" : `${route.tenant}/${route.name}`}`,
    ...block("filters", order.length === 0 ? ["none"] : order),
    `action    ${action}`,
    ...block("because", reasons),
  ];
}

/** One thing a line, the word in front of the first. */
function block(word: string, all: readonly string[]): string[] {
  return all.map((line, index) => `${index === 0 ? word.padEnd(10) : " ".repeat(10)}${line}`);
}
