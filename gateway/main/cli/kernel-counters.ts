/** `penstock kernel counters DEVICE`: who sends most, or what it is for. */
import { positionals, textOption } from "./arguments.ts";
import type { Client } from "./client.ts";
import { table } from "./table.ts";
import { UsageError, type ExitCode, type Output, type ParsedArgs } from "./verb.ts";

interface Counters {
  readonly by: "source" | "port";
  readonly items: readonly { readonly of: string; readonly packets: number; readonly bytes: number }[];
  readonly other: Readonly<Record<string, { readonly packets: number; readonly bytes: number }>>;
}

/** What has no entry of its own, in words. */
const OTHERS: Readonly<Record<string, string>> = {
  notIp: "(not IP)",
  noRoom: "(no room)",
  noPort: "(no port)",
};

export async function kernelCounters(args: ParsedArgs, client: Client, out: Output): Promise<ExitCode> {
  const [, device = ""] = positionals(args, "counters", "DEVICE");
  const sort = textOption(args, "sort") ?? "packets";
  if (sort !== "packets" && sort !== "bytes") throw new UsageError("--sort is packets or bytes");
  const limit = textOption(args, "top");
  const path = `/v1/kernel/interfaces/${encodeURIComponent(device)}/counters`;
  const query = { sort, ...(limit === undefined ? {} : { limit }) };
  const counters = (await client.get(path, query)).body as Counters;
  if (out.json) {
    out.print(JSON.stringify(counters));
    return 0;
  }
  const others = Object.entries(counters.other)
    .filter(([, { packets }]) => packets > 0)
    .map(([name, traffic]) => ({ of: OTHERS[name] ?? name, ...traffic }));
  const rows = [...counters.items, ...others].map(({ of, packets, bytes }) => [of, String(packets), String(bytes)]);
  out.print(rows.length === 0 ? "no packets yet" : table([counters.by.toUpperCase(), "PACKETS", "BYTES"], rows, out));
  return 0;
}
