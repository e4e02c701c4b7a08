/**
 * The data-plane process: takes snapshots and descriptors from the supervisor, sends traffic through, and has no other
 * business. It is started confined (see gateway/main/confine) and opens nothing by itself.
 */
import { asFd } from "#core/brands.ts";
import { WorkerProcess } from "./process.ts";
import { FD_BUCKETS, FD_CHANNEL, FD_SHARED, type ToSupervisor, type ToWorker } from "./protocol.ts";
import { openSharedArea } from "./shared-area.ts";

const STDOUT = 1;

const workers = Number(process.argv[2] ?? 1);

const worker = new WorkerProcess({
  io: process.env["PENSTOCK_IO"] ?? "auto",
  descriptors: asFd(FD_CHANNEL),
  workers,
  files: JSON.parse(process.argv[4] ?? "{}") as Record<string, string>,
  shared: openSharedArea(asFd(FD_SHARED), asFd(FD_BUCKETS), workers, Number(process.argv[3] ?? 0)),
  logFd: STDOUT,
  log: (line: string) => {
    process.stderr.write(`${line}\n`);
  },
  send: (message: ToSupervisor) => {
    if (process.connected) process.send?.(message);
  },
  exit: (code: number) => process.exit(code),
});

process.on("message", (message) => {
  worker.receive(message as ToWorker);
});
// Without a supervisor there is nobody to give a new snapshot or take the descriptors back: end what is under way, go.
process.on("disconnect", () => {
  worker.orphaned();
});
// A terminal sends Ctrl-C to the whole group; the supervisor decides when a worker drains.
process.on("SIGINT", () => {});
setImmediate(() => worker.start());
