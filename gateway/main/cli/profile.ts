/** `penstock profile`: what a process of the gateway spends its time on, or has in memory, for Chrome's developer tools. */
import { resolve } from "node:path";
import { positionals, textOption } from "./arguments.ts";
import { Client } from "./client.ts";
import { download } from "./download.ts";
import { printFailure } from "./failure.ts";
import { UsageError, type Verb } from "./verb.ts";

const SECONDS_DEFAULT = "10";
const SECONDS = /^(?:[1-9]|[1-5]\d|60)$/;

export const profile: Verb = {
  summary: "record a CPU profile or a heap snapshot of supervisor, control or worker-N",
  usage: ["profile cpu PROCESS FILE [--seconds 1..60]", "profile heap PROCESS FILE"],
  examples: ["profile cpu worker-0 worker.cpuprofile --seconds 30", "profile heap control control.heapsnapshot"],
  options: { seconds: { type: "string" } },
  run: async (args, out, context) => {
    const [kind = "", process = "", file = ""] = positionals(args, "cpu or heap", "PROCESS", "FILE");
    const given = textOption(args, "seconds");
    if (kind !== "cpu" && kind !== "heap") throw new UsageError(`there is no "profile ${kind}"`);
    if (kind === "heap" && given !== undefined) throw new UsageError("--seconds is for `profile cpu`");
    const seconds = given ?? SECONDS_DEFAULT;
    if (!SECONDS.test(seconds)) throw new UsageError("--seconds takes a number from 1 to 60");
    const base = `/v1/processes/${encodeURIComponent(process)}`;
    const path = kind === "cpu" ? `${base}/cpu-profile?seconds=${seconds}` : `${base}/heap-snapshot`;
    out.progress(kind === "cpu" ? `recording ${process} for ${seconds} s` : `looking at the memory of ${process}`);
    try {
      const bytes = await download(Client.of(args, context), path, resolve(context.cwd, file), out);
      out.print(
        out.json ? JSON.stringify({ file, bytes }) : `${file}: ${bytes} bytes; Chrome's developer tools open it`,
      );
      return 0;
    } catch (error) {
      return printFailure(error, out);
    }
  },
};
