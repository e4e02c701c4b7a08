/** `penstock plugin logs`: what a plugin says, and the faults of its guests, in lines of its source where that is known. */
import type { ToldLine } from "#control/plugins/logs.ts";
import { flagOption, positionals } from "./arguments.ts";
import { Client } from "./client.ts";
import { serverEvents } from "./server-events.ts";
import { UsageError, type ExitCode, type Output, type ParsedArgs, type VerbContext } from "./verb.ts";

export async function logs(args: ParsedArgs, out: Output, context: VerbContext): Promise<ExitCode> {
  const [, name = ""] = positionals(args, "logs", "TENANT/NAME[@VERSION]");
  const [, tenant, plugin, version] = /^([^/@]+)\/([^/@]+)(?:@([^/@]+))?$/.exec(name) ?? [];
  if (tenant === undefined || plugin === undefined)
    throw new UsageError(`"${name}" is no plugin: TENANT/NAME[@VERSION]`);
  const query = new URLSearchParams();
  if (version !== undefined) query.set("version", version);
  if (!flagOption(args, "follow")) query.set("follow", "false");
  const path = `/v1/tenants/${encodeURIComponent(tenant)}/plugins/${encodeURIComponent(plugin)}/logs?${query.toString()}`;
  for await (const { data } of serverEvents(Client.of(args, context).download(path))) tell(data, out);
  return 0;
}

function tell(data: string, out: Output): void {
  if (out.json) {
    out.print(data);
    return;
  }
  const { time, level, route, plugin, message, place } = JSON.parse(data) as ToldLine;
  const at = place === undefined ? "" : ` (${place})`;
  out.print(`${time.slice(0, 23).replace("T", " ")} ${level.padEnd(5)} ${plugin} ${route}: ${message}${at}`);
}
