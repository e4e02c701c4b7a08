/** `penstock plugin message`: a word to the running guests of a plugin, and what each answers. */
import { positionals, textOption } from "./arguments.ts";
import { Client } from "./client.ts";
import { givenText } from "./given-text.ts";
import { UsageError, type ExitCode, type Output, type ParsedArgs, type VerbContext } from "./verb.ts";

interface Told {
  readonly answers: readonly {
    readonly worker: number;
    readonly route: string;
    readonly version: string;
    readonly answer: string;
  }[];
}

export async function message(args: ParsedArgs, out: Output, context: VerbContext): Promise<ExitCode> {
  const [, name = "", word] = positionals(args, "message", "TENANT/NAME", "TEXT?");
  const [, tenant, plugin] = /^([^/@]+)\/([^/@]+)$/.exec(name) ?? [];
  if (tenant === undefined || plugin === undefined) {
    const detail = name.includes("@") ? "messages go to all of its versions, so name it without one" : "TENANT/NAME";
    throw new UsageError(`"${name}" is no plugin: ${detail}`);
  }
  const file = textOption(args, "file");
  if (word !== undefined && file !== undefined) throw new UsageError("either TEXT or --file, not both");
  const text = word ?? givenText(file, "the message", out, context);
  const path = `/v1/tenants/${encodeURIComponent(tenant)}/plugins/${encodeURIComponent(plugin)}/messages`;
  const { body } = await Client.of(args, context).send("POST", path, { text });
  const { answers } = body as Told;
  if (out.json) out.print(JSON.stringify(body));
  else if (answers.length === 0) out.note("nobody answers: no route uses it, or it has no `on_message` hook");
  else {
    for (const { worker, route, version, answer } of answers) {
      out.print(`worker ${worker} ${route} ${plugin}@${version}: ${visible(answer)}`);
    }
  }
  return 0;
}

/** A plugin may answer anything, and a terminal obeys what it is shown. `--json` has it as it is. */
function visible(text: string): string {
  // oxlint-disable-next-line no-control-regex -- these are what is looked for
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (character) => {
    const escaped = JSON.stringify(character).slice(1, -1);
    return escaped === character ? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}` : escaped;
  });
}
