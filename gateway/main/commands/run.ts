/** `penstock run`: the gateway in the foreground, until a signal ends it. */
import { realpathSync, statSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import { availableParallelism } from "node:os";
import { familyOf, ipOf, parsePrefix, prefixContains, readAddress } from "#core/address.ts";
import { readLastGood } from "#control/store/last-good.ts";
import type { ExitCode, Output, ParsedArgs, Verb, VerbContext } from "#main/cli/verb.ts";
import { UsageError } from "#main/cli/verb.ts";
import { thisInstallation, unreadableFiles } from "#main/confine/installation.ts";
import { AF_UNIX } from "#sys/socket.ts";
import { collectAfterStart } from "#core/collect.ts";
import { mainError } from "#core/errors/main.ts";
import type { Installation } from "#main/confine/installation.ts";
import { EchoServer, exampleAddress, exampleDeclaration, exampleGuide, startEcho } from "#main/example/example.ts";
import { DataDirectory } from "#main/supervisor/data-directory.ts";
import { readScript } from "#main/script/bundle.ts";
import { logTo, type LogSink } from "#main/supervisor/log.ts";
import { kernelWanted, openKernel } from "#main/supervisor/managed-kernel.ts";
import { pinPlace } from "#main/supervisor/pin-place.ts";
import { Supervisor, type AdminTlsFiles } from "#main/supervisor/supervisor.ts";
import { Predecessor } from "#main/upgrade/predecessor.ts";
import { Upgrade } from "#main/upgrade/upgrade.ts";
import type { Snapshot } from "#snapshot/snapshot.ts";
import { readDeclaration } from "./declaration.ts";
import { isPrivileged, raiseOpenFiles, whatIsOff } from "./privileges.ts";
import { refusal } from "./refusal.ts";
import { Reload, type Outcome, type ReadDeclaration, type Reading } from "./reload.ts";
import { ServiceManager } from "./service-manager.ts";
import { StopSignals } from "./signals.ts";
import { penstockVersion } from "./version.ts";

interface RunOptions {
  readonly data: string;
  readonly file: { readonly path: string; readonly cwd: string; readonly env: VerbContext["env"] } | null;
  /** Reads the file again when it changes. */
  readonly watch: boolean;
  /** A script that every worker runs: an absolute path. */
  readonly script: string | null;
  readonly example: boolean;
  readonly listen: string | undefined;
  readonly workers: number;
  readonly admin: string | null;
  readonly adminTls: AdminTlsFiles | null;
  /** Directories whose files may be served, by name. */
  readonly files: Readonly<Record<string, string>>;
}

export const run: Verb = {
  summary: "start a gateway here, in the foreground",
  usage: [
    "run [-f FILE] [--script FILE] [--watch] [--data DIR] [--workers N] [--admin HOST:PORT [--admin-cert FILE --admin-key FILE --admin-ca FILE]] [--files NAME=DIR]... [--example]",
  ],
  examples: [
    "run",
    "run -f penstock.yaml --watch",
    "run --script router.ts --watch",
    "run -f penstock.yaml --workers 4",
    "run -f penstock.yaml --files site=./public",
    "run --admin 127.0.0.1:9900 --data /var/lib/penstock",
  ],
  options: {
    file: { type: "string", short: "f" },
    script: { type: "string" },
    workers: { type: "string" },
    admin: { type: "string" },
    "admin-cert": { type: "string" },
    "admin-key": { type: "string" },
    "admin-ca": { type: "string" },
    watch: { type: "boolean" },
    example: { type: "boolean" },
    listen: { type: "string" },
    files: { type: "string", multiple: true },
  },
  run: (args, out, context) => runGateway(optionsOf(args, context), out, context),
};

function optionsOf({ values, positionals }: ParsedArgs, context: VerbContext): RunOptions {
  if (positionals.length > 0) throw new UsageError(`run takes no ${String(positionals[0])}`);
  const text = (name: string): string | null => {
    const value = values[name];
    return typeof value === "string" ? value : null;
  };
  const path = (value: string): string => (isAbsolute(value) ? value : resolve(context.cwd, value));
  const workers = text("workers");
  const count = workers === null ? availableParallelism() : Number(workers);
  if (!Number.isInteger(count) || count < 1 || count > 1024)
    throw new UsageError("--workers takes a number from 1 to 1024");
  const admin = text("admin");
  const adminTls = adminTlsOf(text, path);
  if (adminTls !== null && admin === null) throw new UsageError("--admin-cert is for --admin HOST:PORT");
  if (admin !== null && adminTls === null && isExposed(admin))
    throw new UsageError(
      `--admin ${admin} is no loopback address: tokens would cross the network in the clear; give it --admin-cert, --admin-key and --admin-ca`,
    );
  const file = text("file");
  const data = text("data");
  const script = text("script");
  if (values["watch"] === true && file === null && script === null)
    throw new UsageError("--watch needs a file to watch: -f FILE or --script FILE");
  return {
    data: data === null ? context.dataDir : path(data),
    file: file === null ? null : { path: file, cwd: context.cwd, env: context.env },
    watch: values["watch"] === true,
    script: script === null ? null : path(script),
    example: values["example"] === true,
    listen: text("listen") ?? undefined,
    workers: count,
    admin,
    adminTls,
    files: grantedFiles(Array.isArray(values["files"]) ? values["files"].map(String) : [], path),
  };
}

/** Links are resolved here: what is granted is the directory that is there now. */
function grantedFiles(texts: readonly string[], absolute: (path: string) => string): Record<string, string> {
  const grants: Record<string, string> = {};
  for (const text of texts) {
    const [, name, path] = /^([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)=(.+)$/.exec(text) ?? [];
    if (name === undefined || path === undefined) throw new UsageError(`--files takes NAME=DIRECTORY, not ${text}`);
    if (Object.hasOwn(grants, name)) throw new UsageError(`--files ${name}: given twice`);
    const directory = statSync(absolute(path), { throwIfNoEntry: false });
    if (directory?.isDirectory() !== true) throw new UsageError(`--files ${name}: ${path} is no directory`);
    grants[name] = realpathSync(absolute(path));
  }
  return grants;
}

function adminTlsOf(text: (name: string) => string | null, path: (value: string) => string): AdminTlsFiles | null {
  const [cert, key, ca] = [text("admin-cert"), text("admin-key"), text("admin-ca")];
  if (cert === null && key === null && ca === null) return null;
  if (cert === null || key === null || ca === null)
    throw new UsageError("--admin-cert, --admin-key and --admin-ca go together: clients show certificates too");
  return { cert: path(cert), key: path(key), ca: path(ca) };
}

const LOOPBACK = ["127.0.0.0/8", "::1/128"].map(parsePrefix);

/** Whether other machines could reach it. What is no address at all is told when it is opened. */
function isExposed(text: string): boolean {
  const address = readAddress(text);
  if (typeof address === "string" || familyOf(address) === AF_UNIX) return false;
  return !LOOPBACK.some((prefix) => prefixContains(prefix, ipOf(address)));
}

async function runGateway(options: RunOptions, out: Output, { env }: VerbContext): Promise<ExitCode> {
  const privileged = isPrivileged();
  const logFormat = out.json ? "json" : "text";
  const log = logTo(
    (line) => process.stderr.write(line),
    env["PENSTOCK_LOG"] === "debug" ? "debug" : "info",
    logFormat,
  );
  raiseOpenFiles();
  const installation = thisInstallation();
  const unreadable = privileged ? unreadableFiles(installation) : [];
  if (unreadable.length > 0) throw mainError("PENSTOCK_MAIN_UNREADABLE", { detail: unreadable.join(", ") });
  const predecessor = Predecessor.find(process.env);
  const data = new DataDirectory(options.data, privileged, predecessor?.pid);
  const version = penstockVersion(installation);
  const inherited = predecessor === null ? null : await predecessor.receive(version);
  const pins = pinPlace(env["PENSTOCK_PINS"], options.data);
  const kernel = openKernel(kernelWanted(), pins, inherited?.kernel);
  for (const note of [...whatIsOff(privileged), ...kernel.status().notes]) log("warn", note);
  const supervisor = new Supervisor({
    installation,
    data,
    workers: options.workers,
    admin: options.admin,
    adminTls: options.adminTls,
    privileged,
    ioUring: env["PENSTOCK_IO"] !== "epoll",
    kernel,
    version,
    inherited,
    onControlEnded: () => predecessor?.giveUp(),
    files: options.files,
    log,
    logFormat,
  });
  const manager = new ServiceManager(env, log);
  const reloads = reloadsOf(options, supervisor, log, manager);
  let echo: EchoServer | null = null;
  const upgrade = new Upgrade({
    supervisor,
    data,
    installation,
    args: process.argv.slice(2),
    echo: () => echo?.socket ?? null,
    handedTo: (pid) => manager.handedTo(pid),
    log,
  });
  const signals = new StopSignals(supervisor, upgrade, reloads, manager, log);
  try {
    const last = exampleAddress(lastGood(data.path));
    if (
      options.example ||
      (options.file === null && options.script === null && (last !== null || lastGood(data.path) === undefined))
    ) {
      const socket = inherited?.echo ?? null;
      echo =
        socket === null
          ? startEcho(last, installation, privileged, log)
          : EchoServer.serve(socket, installation, privileged, log);
    }
    const ready = supervisor.controlReady();
    supervisor.start();
    const begun = await Promise.race([
      signals.stopped,
      begin(supervisor, predecessor, options, installation, echo, ready, reloads, out),
    ]);
    if (begun === false) return 1;
    const revision = supervisor.deployment.snapshot?.revision ?? 0;
    if (begun === true) upgrade.allow();
    if (begun === true) manager.ready(`revision ${revision}`, () => supervisor.serving);
    await Promise.race([signals.stopped, upgrade.over]);
    return 0;
  } finally {
    await supervisor.stop();
    await echo?.stop();
    predecessor?.close();
    for (const reload of reloads) reload.close();
    signals.dispose();
  }
}

/** Declares what there is to declare and, once traffic can come, says so. False when it was refused. */
async function begin(
  supervisor: Supervisor,
  predecessor: Predecessor | null,
  options: RunOptions,
  installation: Installation,
  echo: EchoServer | null,
  ready: Promise<number>,
  reloads: readonly Reload[],
  out: Output,
): Promise<boolean> {
  if (predecessor !== null) {
    predecessor.onMapChange = (change) => supervisor.mapChangedBefore(change);
    if (!(await supervisor.booted())) return false;
    await predecessor.claimControl();
    supervisor.startControl();
  }
  const revision = await ready;
  const declaration = revision === 0 && options.file === null ? firstDeclaration(options, installation, echo) : null;
  if (declaration !== null && !told(await declare(supervisor, declaration), out)) return false;
  // The declaration before the script: workers that serve one take up the other.
  for (const reload of reloads) {
    const reading = await reload.reading();
    if (options.watch) reload.watch(reading);
    if (!told(await reading.apply(), out)) return false;
  }
  await supervisor.workersReady();
  if (predecessor !== null) {
    await predecessor.claimAll(supervisor.deployment.snapshot?.revision ?? 0);
    supervisor.takeOver();
  }
  announce(supervisor, echo !== null, out);
  collectAfterStart();
  return true;
}

/** What a gateway begins with that was told nothing and has nothing from before; null: nothing. */
function firstDeclaration(
  options: RunOptions,
  installation: Installation,
  echo: EchoServer | null,
): ReadDeclaration["declaration"] | null {
  if (echo !== null) return exampleDeclaration(installation, echo.address, options.listen);
  // Beside a script, an empty one: workers wait for a snapshot.
  const sources = [{ file: "penstock.yaml", text: "{}\n" }];
  return options.script === null ? null : { author: "penstock run", sources, modules: [] };
}

/** What is to be read again, in this order. */
function reloadsOf(options: RunOptions, supervisor: Supervisor, log: LogSink, manager: ServiceManager): Reload[] {
  const { file, script } = options;
  const reloads: Reload[] = [];
  if (file !== null) {
    const read = async (): Promise<Reading> => {
      const { declaration, folders } = await readDeclaration(file.path, file.cwd, file.env);
      return { folders, apply: () => declare(supervisor, declaration) };
    };
    reloads.push(new Reload({ what: "declaration", read, log, manager }));
  }
  if (script !== null) {
    const read = async (): Promise<Reading> => {
      const { bundle, folders, files } = readScript(script);
      const apply = async (): Promise<Outcome> => {
        const changed = await supervisor.scripts.apply(bundle);
        return { ok: true, status: `script ${script}`, changed };
      };
      return { folders, files, apply };
    };
    reloads.push(new Reload({ what: "script", read, log, manager }));
  }
  return reloads;
}

async function declare(supervisor: Supervisor, declaration: ReadDeclaration["declaration"]): Promise<Outcome> {
  const reply = await supervisor.declare(declaration);
  if (!reply.ok) return { ok: false, lines: refusal(reply) };
  return { ok: true, status: `revision ${reply.revision}`, changed: reply.changed === true };
}

/** False when it was refused: then it has been said why. */
function told(outcome: Outcome, out: Output): boolean {
  if (!outcome.ok) for (const line of outcome.lines) out.note(line);
  return outcome.ok;
}

function announce(supervisor: Supervisor, example: boolean, out: Output): void {
  const listeners = [...supervisor.deployment.listenerStatus(), ...supervisor.scripts.listenerStatus()];
  const admin = supervisor.adminAddresses();
  const revision = supervisor.deployment.snapshot?.revision ?? 0;
  if (out.json) {
    out.print(JSON.stringify({ event: "ready", pid: process.pid, revision, listeners, admin }));
    return;
  }
  for (const { name, address, error } of listeners) {
    out.print(`listener ${name}: ${error === undefined ? schemeOf(supervisor, name) + address : `not open: ${error}`}`);
  }
  out.print(`admin: ${admin.join(", ")}`);
  const first = listeners.find(({ error }) => error === undefined);
  if (example && first !== undefined) out.print(exampleGuide(`http://${first.address}`, commandLine()));
}

/** What a client would write in front of the address. */
function schemeOf(supervisor: Supervisor, name: string): string {
  const spec = supervisor.deployment.snapshot?.listeners.find((one) => one.name === name);
  // What a script speaks where it listens, only the script knows.
  if (spec === undefined) return "";
  if (spec.protocol === "tcp" && spec.tls !== undefined) return "tls://";
  if (spec.protocol === "tcp" || spec.protocol === "udp") return `${spec.protocol}://`;
  if (spec.protocol === "tls-passthrough") return "tls://";
  return spec.tls === undefined ? "http://" : "https://";
}

function lastGood(dataDir: string): Snapshot | undefined {
  try {
    return readLastGood(dataDir);
  } catch {
    // The supervisor reads it too, and says what is wrong with it.
    return undefined;
  }
}

/** How the reader calls this program: `npm run` sets its own environment. */
function commandLine(): string {
  return process.env["npm_lifecycle_event"] === undefined ? "penstock" : "npm run -s penstock --";
}
