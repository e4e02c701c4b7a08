/** Profiles and heap snapshots of the supervisor and its workers, for the admin API. Control records itself. */
import type { RecordingPartRequest, RecordingRequest } from "#control/recording.ts";
import { Recorder, type Recorded } from "#observe/recorder.ts";
import type { WorkerProcess } from "./worker-process.ts";
import type { Workers } from "./workers.ts";

const WORKER = /^worker-(\d{1,4})$/;

export class Recordings {
  readonly #workers: Workers;
  readonly #own = new Recorder();

  constructor(workers: Workers) {
    this.#workers = workers;
  }

  async record({ process, kind, seconds }: RecordingRequest): Promise<Recorded> {
    if (process === "supervisor") return this.#own.record(kind, seconds);
    const worker = this.#worker(process);
    const names = this.#workers.all.map(({ slot }) => `worker-${slot}`);
    if (worker === undefined) {
      const detail = `there is no process "${process}"; there are supervisor, control, ${names.join(", ")}`;
      return { ok: false, code: "none", detail };
    }
    try {
      return await worker.record(kind, seconds);
    } catch (error) {
      return { ok: false, code: "failed", detail: error instanceof Error ? error.message : String(error) };
    }
  }

  /** Null: there is nothing, or not any more. */
  async part({ process, part }: RecordingPartRequest): Promise<Uint8Array | null> {
    if (process === "supervisor") return this.#own.part(part);
    return (
      (await this.#worker(process)
        ?.recordedPart(part)
        .catch(() => null)) ?? null
    );
  }

  #worker(name: string): WorkerProcess | undefined {
    const slot = WORKER.exec(name)?.[1];
    return slot === undefined ? undefined : this.#workers.all[Number(slot)];
  }
}
