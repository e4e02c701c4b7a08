/** A supervisor inside the test's process, with a fake worker and a fake control unless told otherwise. Always stopped. */
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { thisInstallation } from "#main/confine/installation.ts";
import { DataDirectory } from "#main/supervisor/data-directory.ts";
import { NoKernel } from "#main/supervisor/kernel-part.ts";
import type { KernelPart } from "#main/supervisor/kernel-part.ts";
import { Supervisor } from "#main/supervisor/supervisor.ts";
import type { ListenerSpec, Snapshot } from "#snapshot/snapshot.ts";

const privileged = process.getuid?.() === 0;

export interface TestSupervisor {
  readonly supervisor: Supervisor;
  readonly data: string;
  readonly logs: string[];
  end(): Promise<void>;
}

export function startSupervisor(workers = 2, kernel: KernelPart = new NoKernel("a test")): TestSupervisor {
  const data = mkdtempSync(join(tmpdir(), "penstock-data-"));
  const installation = thisInstallation();
  const logs: string[] = [];
  const supervisor = new Supervisor({
    installation,
    data: new DataDirectory(data, privileged),
    workers,
    admin: null,
    privileged,
    ioUring: false,
    kernel,
    version: "test",
    prepareMs: 3_000,
    log: (level, message) => logs.push(`${level} ${message}`),
    logFormat: "json",
    entries: {
      worker: join(installation.root, "test/support/fake-worker.ts"),
      control: join(installation.root, "test/support/fake-control.ts"),
    },
  });
  supervisor.start();
  const end = async (): Promise<void> => {
    await supervisor.stop();
    rmSync(data, { recursive: true, force: true });
  };
  return { supervisor, data, logs, end };
}

let revision = 0;

/** The least snapshot with these listeners; `wish` is for the fake worker. */
export function snapshotOf(
  listeners: readonly Partial<ListenerSpec>[],
  more: Partial<Snapshot> & { wish?: string } = {},
): Snapshot {
  revision++;
  const { wish = "well", ...rest } = more;
  return {
    revision,
    digest: `test ${revision}`,
    listeners: listeners.map((one, i) => ({
      name: `l${i}`,
      address: "127.0.0.1:0",
      protocol: "http",
      transparent: false,
      ...one,
    })),
    upstreams: [
      {
        name: wish,
        endpoints: [],
        timeouts: { connectMs: 1000, requestMs: 1000, idleMs: 1000 },
        idleConnectionsMax: 1,
      },
    ],
    plugins: [],
    routes: [],
    maps: [],
    kernel: { interfaces: [], steering: [] },
    settings: {
      trustedProxies: [],
      accessLog: "off",
      headTimeoutMs: 1000,
      idleTimeoutMs: 1000,
      bodyIdleTimeoutMs: 1000,
      drainMs: 500,
      headBytesMax: 65536,
      targetBytesMax: 8192,
      fieldsMax: 100,
    },
    ...rest,
  };
}

/** A connection to the fake worker, and the `PID REVISION` it greeted with. */
export async function visit(address: string): Promise<{ socket: Socket; pid: number; revision: number }> {
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replaceAll(/[[\]]/g, "");
  const socket = connect(Number(address.slice(colon + 1)), host);
  const line = await new Promise<string>((resolve, reject) => {
    socket.once("data", (data: Buffer) => resolve(data.toString()));
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("closed before the greeting")));
  });
  const [pid, seen] = line.split(" ").map(Number);
  return { socket, pid: pid ?? 0, revision: seen ?? 0 };
}
