/** `penstock logs`: what happens to the gateway, as it happens: revisions, what was changed by whom, workers that end or come back. */
import { positionals, textOption } from "./arguments.ts";
import { Client } from "./client.ts";
import { printFailure } from "./failure.ts";
import { serverEvents } from "./server-events.ts";
import { UsageError, type Output, type Verb } from "./verb.ts";

export const logs: Verb = {
  summary: "live: revisions, changes and who made them, workers that end or come back",
  usage: ["logs [--since REV]"],
  examples: ["logs", "logs --since 40", "logs --json"],
  options: { since: { type: "string" } },
  run: async (args, out, context) => {
    positionals(args);
    const since = textOption(args, "since");
    if (since !== undefined && !/^\d{1,15}$/.test(since))
      throw new UsageError("--since takes the number of a revision");
    try {
      const path = since === undefined ? "/v1/events" : `/v1/events?since=${since}`;
      for await (const { kind, data } of serverEvents(Client.of(args, context).download(path))) tell(kind, data, out);
      return 0;
    } catch (error) {
      return printFailure(error, out);
    }
  },
};

/** Of a row of the audit log, or of a worker. */
interface Told {
  readonly atMs?: number;
  readonly who?: string;
  readonly what?: string;
  readonly subject?: string;
  readonly revision?: number;
  readonly outcome?: string;
  readonly reason?: string;
  readonly worker?: number;
  readonly pid?: number;
  readonly state?: string;
  readonly restarts?: number;
}

function tell(kind: string, data: string, out: Output): void {
  const told = JSON.parse(data) as Told;
  if (out.json) out.print(JSON.stringify({ event: kind, ...told }));
  else out.print(kind === "worker" ? workerLine(told) : changeLine(told));
}

function workerLine({ worker, pid, state, restarts }: Told): string {
  return `${timeText(Date.now())} worker ${worker}: ${state}, pid ${pid}, restarted ${restarts} times`;
}

function changeLine({ atMs = 0, who, what, revision = 0, outcome, reason = "" }: Told): string {
  const of = revision === 0 ? "" : ` revision ${revision}`;
  const why = reason === "" ? "" : `: ${reason}`;
  return `${timeText(atMs)}${of} ${what} (${who})${outcome === "refused" ? ` REFUSED${why}` : ""}`;
}

function timeText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace("T", " ");
}
