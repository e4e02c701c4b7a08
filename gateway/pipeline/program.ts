/**
 * What a script asks for while it is loaded: where to listen, and what to do at its end. A script's module is evaluated
 * once in each worker; `listen` and its like find the program under way by themselves. Nothing is open before the program
 * is committed, so a script that throws has changed nothing.
 */
import { readAddress } from "#core/address.ts";
import { pipelineError } from "#core/errors/pipeline.ts";
import { pipeline, type Layout } from "./layout/layout.ts";
import type { Pipeline } from "./layout/pipeline.ts";
import type { Build } from "./layout/steps.ts";
import type { ListenTlsOptions } from "./runtime.ts";

export interface ListenOptions {
  /** `tcp` where it is left out. Each client of `udp` is a stream of messages, a datagram each. */
  readonly protocol?: "tcp" | "udp";
  readonly tls?: ListenTlsOptions;
  /** Takes connections that were meant for others; `ctx.inbound.originalDestination` says for whom. */
  readonly transparent?: boolean;
  /** Has the kernel turn connections of processes here, by the supervisor, while the script is in force; implies `transparent`. */
  readonly steer?: SteerOptions;
  /** Milliseconds without a byte in either direction; 600 000, and 60 000 for UDP. */
  readonly idleTimeoutMs?: number;
  /** Streams at a time in one worker; 65 536. Those beyond are refused. */
  readonly streamsMax?: number;
}

export interface SteerOptions {
  /** Directory of the cgroup whose processes are meant, and of those below. The gateway's own are never steered. */
  readonly cgroup: string;
  /** Of the destinations. TCP, IPv4 and IPv6. */
  readonly ports: readonly number[];
  /** How long connections are still turned to a gateway that has died or hangs; then they go straight. 3000. */
  readonly leaseMs?: number;
}

/** One address a program listens on. */
export interface ListenSpec {
  readonly address: string;
  readonly pipeline: Pipeline;
  readonly options: ListenOptions;
}

export class Program {
  readonly listens: ListenSpec[] = [];
  readonly #ends: (() => void)[] = [];
  readonly #files: ReadonlyMap<string, Uint8Array>;
  readonly #base: string;

  /** `files`: what `load` can read, by `file:` URL. `base`: the script's own. */
  constructor(files: readonly { readonly url: string; readonly bytes: Uint8Array }[] = [], base = "file:///") {
    this.#files = new Map(files.map(({ url, bytes }) => [url, bytes]));
    this.#base = base;
  }

  /** By its path from the script; undefined when the script was sent without it. */
  file(path: string): Uint8Array | undefined {
    return this.#files.get(new URL(path, this.#base).href);
  }

  listen(spec: ListenSpec): void {
    const { protocol = "tcp" } = spec.options;
    const taken = this.listens.some(
      (one) => one.address === spec.address && (one.options.protocol ?? "tcp") === protocol,
    );
    if (taken) throw pipelineError("PENSTOCK_PIPELINE_LISTEN", { detail: `${spec.address} (${protocol}) twice` });
    this.listens.push(spec);
  }

  /** `act` runs when the program has been replaced, or was refused: timers stop, and the like. */
  onEnd(act: () => void): void {
    this.#ends.push(act);
  }

  /** Once. `report` hears what throws. */
  end(report: (error: unknown) => void): void {
    for (const act of this.#ends.splice(0)) {
      try {
        act();
      } catch (error) {
        report(error);
      }
    }
  }
}

let current: Program | null = null;

/** The program of the script that is being loaded. Throws PENSTOCK_PIPELINE_OUTSIDE. */
export function currentProgram(what: string): Program {
  if (current === null) throw pipelineError("PENSTOCK_PIPELINE_OUTSIDE", { detail: what });
  return current;
}

/** Evaluates a script for `program`: one at a time. */
export async function loadProgram(program: Program, evaluate: () => Promise<unknown>): Promise<void> {
  current = program;
  try {
    await evaluate();
  } finally {
    current = null;
  }
}

/**
 * The bytes of a file beside the script, as it was when the script was read: `load("./hosts.json")`, the path written out, so
 * that it can be sent along. With `--watch` a change of the file is a change of the script. Throws PENSTOCK_PIPELINE_FILE.
 */
export function load(path: string): Uint8Array {
  const bytes = currentProgram("load").file(path);
  if (bytes === undefined) throw pipelineError("PENSTOCK_PIPELINE_FILE", { detail: JSON.stringify(path) });
  return bytes;
}

/** Runs `act` when this script has been replaced, or the gateway stops. */
export function onExit(act: () => void): void {
  currentProgram("onExit").onEnd(act);
}

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
function checkSteering(address: string, { steer, protocol }: ListenOptions): void {
  if (steer === undefined) return;
  const { cgroup, ports, leaseMs = LEASE_MS_MIN } = steer;
  const wrong =
    protocol === "udp"
      ? "steer is for TCP; declare `kernel.steering` for datagrams"
      : typeof cgroup !== "string" || !cgroup.startsWith("/")
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
