/**
 * `penstock upgrade`: the gateway that runs on a data directory here is replaced by the version that is installed now. The
 * signal is sent by this process, so the kernel says who may; the outcome is read where the gateway writes who it is.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { mainError } from "#core/errors/main.ts";
import {
  UsageError,
  type ExitCode,
  type Output,
  type ParsedArgs,
  type Verb,
  type VerbContext,
} from "#main/cli/verb.ts";
import { runsOn } from "#main/supervisor/data-directory.ts";

/** A little more than a successor may take to be ready. */
const WAIT_MS = 130_000;
const POLL_MS = 50;

export const upgrade: Verb = {
  summary: "replace the running gateway by the installed version, with no connection refused or cut",
  usage: ["upgrade [--data DIR]"],
  examples: ["upgrade", "upgrade --data /var/lib/penstock"],
  options: {},
  run: ({ positionals }: ParsedArgs, out: Output, { dataDir }: VerbContext) => {
    if (positionals.length > 0) throw new UsageError(`upgrade takes no ${String(positionals[0])}`);
    return upgradeGateway(dataDir, out);
  },
};

async function upgradeGateway(dataDir: string, out: Output): Promise<ExitCode> {
  const before = runsOn(dataDir);
  if (before === null) throw mainError("PENSTOCK_MAIN_UPGRADE", { detail: `no gateway runs on ${dataDir}` });
  const askedMs = Date.now();
  try {
    process.kill(before.pid, "SIGUSR2");
  } catch (cause) {
    throw mainError("PENSTOCK_MAIN_UPGRADE", { detail: `process ${before.pid}: ${(cause as Error).message}`, cause });
  }
  while (Date.now() < askedMs + WAIT_MS) {
    out.progress(`process ${before.pid} starts its successor, ${Math.floor((Date.now() - askedMs) / 1000)} s`);
    await sleep(POLL_MS);
    const now = runsOn(dataDir);
    if (now === null) throw mainError("PENSTOCK_MAIN_UPGRADE", { detail: "the gateway ended" });
    if (now.pid !== before.pid) {
      const facts = { pid: now.pid, before: before.pid, tookMs: Date.now() - askedMs };
      out.print(
        out.json
          ? JSON.stringify(facts)
          : `process ${now.pid} is the gateway, after ${facts.tookMs} ms; process ${before.pid} ends what it had begun`,
      );
      return 0;
    }
    if (now.upgrade !== null && now.upgrade.atMs >= askedMs) {
      throw mainError("PENSTOCK_MAIN_UPGRADE", { detail: now.upgrade.failed });
    }
  }
  throw mainError("PENSTOCK_MAIN_UPGRADE", { detail: `no outcome within ${WAIT_MS} ms` });
}
