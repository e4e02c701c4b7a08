/** `penstock kernel`: what of the gateway runs in the kernel, and the maps that kernel, plugins and people share. */
import type { GatewayStatus, KernelStatus } from "#control/gateway-status.ts";
import { positionals, textOption } from "./arguments.ts";
import { Client } from "./client.ts";
import { trace, TRACE_OPTIONS } from "./kernel-trace.ts";
import { printFailure } from "./failure.ts";
import { attach, ATTACH_OPTIONS, confirm, detach } from "./kernel-attach.ts";
import { kernelCounters } from "./kernel-counters.ts";
import { table } from "./table.ts";
import { UsageError, type ExitCode, type Output, type ParsedArgs, type Verb } from "./verb.ts";

export const kernel: Verb = {
  summary: "programs and maps in the kernel",
  usage: [
    "kernel status",
    "kernel maps",
    "kernel maps NAME",
    "kernel maps NAME get KEY",
    "kernel maps NAME put KEY [--ttl SECONDS | --value N | --hex BYTES]",
    "kernel maps NAME rm KEY",
    "kernel counters DEVICE [--top N] [--sort packets|bytes]",
    "kernel trace [--listener NAME] [--kind state|retransmit|reset|slow-response] [--count N]",
    "kernel attach steering NAME --cgroup DIR --ports LIST --listener NAME [--lease-ms N] [--confirm SECONDS]",
    "kernel attach interface DEVICE --programs LIST [--mode auto|native|generic]",
    "kernel attach interceptor NAME --ports LIST --listener NAME [--devices LIST] [--lease-ms N]",
    "kernel attach binding NAME --ports LIST --listener NAME [--prefix PREFIX] [--lease-ms N]",
    "kernel detach steering|interface|interceptor|binding NAME",
    "kernel confirm NAME",
  ],
  examples: [
    "kernel status",
    "kernel maps blocklist put 203.0.113.0/24 --ttl 600",
    "kernel maps blocklist rm 203.0.113.0/24",
    "kernel attach steering apps --cgroup /sys/fs/cgroup/unified/apps --ports 80,8080 --listener steered --confirm 60",
    "kernel confirm apps",
  ],
  options: {
    ttl: { type: "string" },
    value: { type: "string" },
    hex: { type: "string" },
    top: { type: "string" },
    sort: { type: "string" },
    ...ATTACH_OPTIONS,
    ...TRACE_OPTIONS,
  },
  run: async (args, out, context) => {
    const client = Client.of(args, context);
    const [action = ""] = args.positionals;
    try {
      if (action === "status") return await status(args, client, out);
      if (action === "maps") return await maps(args, client, out);
      if (action === "counters") return await kernelCounters(args, client, out);
      if (action === "trace") return await trace(args, client, out);
      if (action === "attach") return await attach(args, client, out);
      if (action === "detach") return await detach(args, client, out);
      if (action === "confirm") return await confirm(args, client, out);
    } catch (error) {
      if (error instanceof UsageError) throw error;
      return printFailure(error, out);
    }
    throw new UsageError(
      action === "" ? "status, maps, counters, trace, attach, detach or confirm?" : `there is no "kernel ${action}"`,
    );
  },
};

async function kernelStatus(client: Client): Promise<KernelStatus> {
  return ((await client.get("/v1/status")).body as GatewayStatus).kernel;
}

async function status(args: ParsedArgs, client: Client, out: Output): Promise<ExitCode> {
  positionals(args, "status");
  const state = await kernelStatus(client);
  if (out.json) {
    out.print(JSON.stringify(state));
    return 0;
  }
  out.print(headline(state));
  for (const line of [...state.notes, ...state.facts]) out.print(`  ${line}`);
  if (state.programs.length > 0) {
    const rows = state.programs.map((one) => [
      one.name,
      one.attachedTo,
      String(one.programId),
      String(one.linkId),
      one.foreign ? "another's" : "penstock's",
    ]);
    out.print(table(["PROGRAM", "ATTACHED TO", "ID", "LINK", "WHOSE"], rows, out));
  }
  if (state.maps.length > 0) out.print(mapTable(state, out));
  return 0;
}

function headline({ active, programs, maps: all }: KernelStatus): string {
  if (!active) return "nothing is in the kernel: maps live in user space";
  const used = programs.length > 0 || all.length > 0;
  return used ? "programs and maps are in the kernel" : "the kernel part is ready; nothing is declared that uses it";
}

function mapTable({ maps: all }: KernelStatus, out: Output): string {
  const rows = all.map((one) => [
    one.name,
    one.type,
    one.key,
    one.value,
    `${one.entries}/${one.maxEntries}`,
    one.inKernel ? "kernel" : "user space",
  ]);
  return table(["MAP", "TYPE", "KEY", "VALUE", "ENTRIES", "WHERE"], rows, out);
}

async function maps(args: ParsedArgs, client: Client, out: Output): Promise<ExitCode> {
  const [, name, action, key] = positionals(args, "maps", "NAME?", "ACTION?", "KEY?");
  if (name === undefined) {
    const state = await kernelStatus(client);
    if (out.json) out.print(JSON.stringify(state.maps));
    else out.print(state.maps.length === 0 ? "no maps" : mapTable(state, out));
    return 0;
  }
  const path = `/v1/kernel/maps/${encodeURIComponent(name)}/entries`;
  if (action === undefined) {
    const items = await client.list(path);
    if (out.json) out.print(JSON.stringify(items));
    else
      out.print(
        items.length === 0
          ? "no entries"
          : table(
              ["KEY", "VALUE"],
              items.map((one) => [String(one["key"]), valueText(one)]),
              out,
            ),
      );
    return 0;
  }
  if (key === undefined) throw new UsageError(`KEY is missing`);
  const entry = `${path}/${encodeURIComponent(key)}`;
  if (action === "get") return shown((await client.get(entry)).body, out);
  if (action === "put") return shown((await client.send("PUT", entry, { json: value(args) })).body, out);
  if (action === "rm") {
    await client.send("DELETE", entry);
    out.print(out.json ? JSON.stringify({ deleted: key }) : `${key} is deleted`);
    return 0;
  }
  throw new UsageError(`there is no "kernel maps NAME ${action}": get, put or rm`);
}

function shown(body: unknown, out: Output): ExitCode {
  const entry = body as Record<string, unknown>;
  out.print(out.json ? JSON.stringify(entry) : `${String(entry["key"])}  ${valueText(entry)}`);
  return 0;
}

function valueText(entry: Record<string, unknown>): string {
  if ("ttlSeconds" in entry) return entry["ttlSeconds"] === null ? "for good" : `for ${String(entry["ttlSeconds"])} s`;
  return String(entry["value"] ?? entry["hex"] ?? "");
}

/** Without an option: an entry for good, which is what a blocklist takes. */
function value(args: ParsedArgs): object {
  const [ttl, count, hex] = [textOption(args, "ttl"), textOption(args, "value"), textOption(args, "hex")];
  if ([ttl, count, hex].filter((one) => one !== undefined).length > 1)
    throw new UsageError("one of --ttl, --value and --hex");
  if (hex !== undefined) return { hex };
  if (count !== undefined) return { value: whole("--value", count) };
  return { ttlSeconds: ttl === undefined ? null : whole("--ttl", ttl) };
}

function whole(option: string, text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new UsageError(`${option} ${text} is no whole number`);
  return Number(text);
}
