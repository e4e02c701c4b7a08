/** What the gateway is doing, as the admin API and `/metrics` show it. */
import type { GatewayStatus, MetricFamily, WorkerStatus } from "#control/gateway-status.ts";
import type { Deployment } from "./deployment.ts";
import { figureFamilies } from "./figure-families.ts";
import type { KernelPart, KernelPartStatus } from "./kernel-part.ts";
import { meterFamilies } from "./meter-families.ts";
import type { SharedMetrics } from "#worker/shared-metrics.ts";
import type { UserMaps } from "./user-maps.ts";
import { NO_STATS } from "./worker-process.ts";
import type { WorkerProcess } from "./worker-process.ts";
import type { Workers } from "./workers.ts";

export interface StatusParts {
  readonly version: string;
  readonly startedAtMs: number;
  readonly deployment: Deployment;
  readonly workers: Workers;
  readonly sharedMetrics: SharedMetrics;
  readonly kernel: KernelPart;
  /** What a script has in the kernel beside it. */
  readonly scriptKernel: Pick<KernelPartStatus, "facts" | "programs" | "counters">;
  readonly userMaps: UserMaps;
  readonly controlRestarts: number;
}

export async function gatewayStatus(parts: StatusParts): Promise<GatewayStatus> {
  const { deployment, workers, kernel, scriptKernel, userMaps } = parts;
  const snapshot = deployment.snapshot;
  const { entries, counters, programs, facts, ...kernelStatus } = kernel.status();
  const scripts = new Set(scriptKernel.programs.map(({ programId }) => programId));
  return {
    version: parts.version,
    startedAtMs: parts.startedAtMs,
    revision: snapshot?.revision ?? 0,
    digest: snapshot?.digest ?? "",
    workers: workers.all.map(workerStatus),
    listeners: deployment.listenerStatus(),
    kernel: {
      ...kernelStatus,
      facts: [...facts, ...scriptKernel.facts],
      programs: [...programs.filter(({ programId }) => !scripts.has(programId)), ...scriptKernel.programs],
      notes: [...(deployment.missing === null ? [] : [deployment.missing]), ...kernelStatus.notes],
      maps: (snapshot?.maps ?? []).map((map) => {
        const inKernel = kernel.mapFd(map.name) !== null;
        const count = inKernel ? entries.get(map.name) : userMaps.get(map.name)?.size;
        return { ...map, entries: count ?? 0, inKernel };
      }),
    },
    metrics: [...(await metrics(parts)), ...kernelFamilies(counters, scriptKernel.counters)],
  };
}

/** A family is shown once: a script's samples say so. */
function kernelFamilies(own: readonly MetricFamily[], scripts: readonly MetricFamily[]): MetricFamily[] {
  const families = new Map(own.map((each) => [each.name, each]));
  for (const each of scripts) {
    const samples = each.samples.map((one) => ({ ...one, labels: { ...one.labels, of: "script" } }));
    families.set(each.name, { ...each, samples: [...(families.get(each.name)?.samples ?? []), ...samples] });
  }
  return Array.from(families.values(), (each) => ({ ...each, name: `penstock_${each.name}` }));
}

function workerStatus(worker: WorkerProcess): WorkerStatus {
  const { slot, state, revision, driver, child } = worker;
  return { worker: slot, pid: child.pid, state, revision, restarts: child.restarts, driver };
}

/** What goes down again, or never moves. */
const GAUGES =
  /(_open|_active|_bytes_in_use|_entries|_free|_all|_usable|_healthy|_ejected|_idle|_waiting|_not_after_seconds)$/;

/**
 * Every worker's counters, by worker. A counter's name may carry labels, `requests{route="orders"}`, which are kept. What is
 * in shared memory is there whatever its worker does; of the rest, a worker that does not answer in time is left out.
 */
async function metrics(parts: StatusParts): Promise<MetricFamily[]> {
  const { workers, sharedMetrics, controlRestarts, deployment } = parts;
  const readings = await Promise.all(
    workers.all.map(async (worker) => {
      const asked = worker.state === "ready" || worker.state === "draining";
      const stats = asked ? await worker.stats().catch(() => NO_STATS) : NO_STATS;
      return { slot: worker.slot, ...stats };
    }),
  );
  const families = new Map<string, MetricFamily["samples"][number][]>();
  for (const { slot, counters } of readings) {
    for (const [key, value] of Object.entries({ ...sharedMetrics.counters(slot), ...counters })) {
      const { name, labels } = parseKey(key);
      const samples = families.get(name) ?? [];
      samples.push({ labels: { ...labels, worker: String(slot) }, value });
      families.set(name, samples);
    }
  }
  const restarts = workers.all.map((worker) => ({
    labels: { process: `worker ${worker.slot}` },
    value: worker.child.restarts,
  }));
  restarts.push({ labels: { process: "control" }, value: controlRestarts });
  const expiry = (deployment.snapshot?.certificates ?? []).map(({ name, notAfterMs }) => ({
    labels: { certificate: name },
    value: Math.floor(notAfterMs / 1000),
  }));
  if (expiry.length > 0) families.set("certificate_not_after_seconds", expiry);
  return [
    family("process_restarts", restarts),
    ...Array.from(families, ([name, samples]) => family(name, samples)),
    ...meterFamilies(sharedMetrics.meters()),
    ...figureFamilies(readings),
  ];
}

function family(name: string, samples: MetricFamily["samples"]): MetricFamily {
  const type = GAUGES.test(name) ? "gauge" : "counter";
  return { name: `penstock_${name}`, type, help: name.replaceAll("_", " "), samples };
}

/** `requests{route="a",tenant="b"}` → its name and labels. */
function parseKey(key: string): { name: string; labels: Record<string, string> } {
  const brace = key.indexOf("{");
  if (brace < 0) return { name: key, labels: {} };
  const labels: Record<string, string> = {};
  for (const [, name = "", value = ""] of key.slice(brace).matchAll(/(\w+)="([^"]*)"/g)) labels[name] = value;
  return { name: key.slice(0, brace), labels };
}
