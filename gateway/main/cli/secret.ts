/** `penstock secret`: gives a secret its value, which nobody reads again. `get secrets` lists them, `delete secret` removes one. */
import { positionals, textOption } from "./arguments.ts";
import { Client } from "./client.ts";
import { printFailure } from "./failure.ts";
import { givenText } from "./given-text.ts";
import { kindOf, pathOf } from "./resource-kinds.ts";
import { UsageError, type Verb } from "./verb.ts";

export const secret: Verb = {
  summary: "give a tenant's secret its value, from standard input or a file",
  usage: ["secret set TENANT/NAME [--file FILE]"],
  examples: ["secret set acme/api-key < api-key.txt", "secret set acme/api-key --file api-key.txt"],
  options: { file: { type: "string", short: "f" } },
  run: async (args, out, context) => {
    const [action = "", name = ""] = positionals(args, "set", "TENANT/NAME");
    if (action !== "set") throw new UsageError(`there is no "secret ${action}"`);
    const path = pathOf(kindOf("secret"), name);
    try {
      const value = givenText(textOption(args, "file"), "the value", out, context);
      const client = Client.of(args, context);
      const before = await client.find(path);
      const headers = before === undefined ? { "if-none-match": "*" } : { "if-match": before.etag };
      const { body } = await client.send("PUT", path, { json: { value }, headers });
      if (out.json) out.print(JSON.stringify(body));
      else
        out.print(
          `secret ${name} is set; filters of ${name.split("/")[0]} name it as \${secret:${name.split("/")[1]}}`,
        );
      return 0;
    } catch (error) {
      return printFailure(error, out);
    }
  },
};
