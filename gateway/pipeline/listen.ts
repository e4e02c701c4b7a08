/** `listen`: where a script's streams come from. */
import { readAddress } from "#core/address.ts";
import { pipelineError } from "#core/errors/pipeline.ts";
import { pipeline, type Layout } from "./layout/layout.ts";
import type { Pipeline } from "./layout/pipeline.ts";
import type { Build } from "./layout/steps.ts";
import type { ListenOptions } from "./listen-options.ts";
import { currentProgram } from "./program.ts";

/**
 * Serves what connects to `where`, a port (of all IPv4 addresses) or an address as `127.0.0.1:8000`, `[::]:8000`,
 * `unix:/run/edge.sock`: each connection by an instance of the layout. `C` is what its context may hold.
 */
export function listen<C extends object = object>(where: number | string, build: Build<Layout<C>, C>): void;
export function listen<C extends object = object>(
  where: number | string,
  options: ListenOptions,
  build: Build<Layout<C>, C>,
): void;
export function listen<C extends object>(
  where: number | string,
  first: ListenOptions | Build<Layout<C>, C>,
  second?: Build<Layout<C>, C>,
): void {
  const program = currentProgram("listen");
  const address = typeof where === "number" ? `0.0.0.0:${where}` : where;
  const wrong = readAddress(address);
  if (typeof wrong === "string") throw pipelineError("PENSTOCK_PIPELINE_LISTEN", { detail: `${address}: ${wrong}` });
  const build = second ?? (first as Build<Layout<C>, C>);
  const options = second === undefined ? {} : (first as ListenOptions);
  checkSteering(address, options);
  // What a program holds is fed with contexts of the kind that its own layouts expect.
  program.listen({ address, pipeline: pipeline<C>(build) as unknown as Pipeline, options });
}

const LEASE_MS_MIN = 100;

/** What the supervisor is going to be asked for. Throws PENSTOCK_PIPELINE_LISTEN. */
function checkSteering(address: string, { steer }: ListenOptions): void {
  if (steer === undefined) return;
  const { cgroup, ports, leaseMs = LEASE_MS_MIN } = steer;
  const wrong =
    typeof cgroup !== "string" || !cgroup.startsWith("/")
      ? `steer.cgroup is ${JSON.stringify(cgroup)}: the cgroup's directory, as /sys/fs/cgroup/apps`
      : !Array.isArray(ports) || ports.length === 0 || !ports.every(isPort)
        ? `steer.ports is ${JSON.stringify(ports)}: a list of numbers from 1 to 65535`
        : !Number.isSafeInteger(leaseMs) || leaseMs < LEASE_MS_MIN
          ? `steer.leaseMs is ${String(leaseMs)}: milliseconds, ${LEASE_MS_MIN} or more`
          : null;
  if (wrong !== null) throw pipelineError("PENSTOCK_PIPELINE_LISTEN", { detail: `${address}: ${wrong}` });
}

function isPort(port: unknown): boolean {
  return Number.isInteger(port) && Number(port) > 0 && Number(port) < 65_536;
}
