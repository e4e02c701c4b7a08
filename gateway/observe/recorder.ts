/**
 * What the process it runs in spends its time on, or keeps in memory, in the forms that Chrome's developer tools read: `.cpuprofile` and
 * `.heapsnapshot`, both JSON. A recording is held in parts until all have been asked for, or nobody has for a while.
 *
 * The inspector is loaded only now, and opens no port. While a profile is recorded the process works on; a snapshot of the heap
 * stops it for as long as it takes, some tenths of a second for each hundred thousand objects.
 */
import { setTimeout as sleep } from "node:timers/promises";

export type RecordingKind = "cpu" | "heap";

export type Recorded =
  | { readonly ok: true; readonly parts: number; readonly bytes: number }
  | { readonly ok: false; readonly code: "none" | "busy" | "failed"; readonly detail: string };

const PART_BYTES = 262_144;
const BYTES_MAX = 512 * 2 ** 20;
const KEPT_MS = 30_000;

export class Recorder {
  #parts: Buffer[] = [];
  #busy = false;
  #expiry: NodeJS.Timeout | null = null;

  /** `seconds`: of a profile. One at a time: `busy` until the last part of the one before was taken, or given up. */
  async record(kind: RecordingKind, seconds: number): Promise<Recorded> {
    if (this.#busy) return { ok: false, code: "busy", detail: "another recording is under way: ask again in a while" };
    this.#busy = true;
    try {
      this.#parts = kind === "cpu" ? await cpuProfile(seconds) : await heapSnapshot();
      const bytes = this.#parts.reduce((sum, part) => sum + part.length, 0);
      this.#keep();
      return { ok: true, parts: this.#parts.length, bytes };
    } catch (error) {
      this.#forget();
      return { ok: false, code: "failed", detail: error instanceof Error ? error.message : String(error) };
    }
  }

  /** Parts in their order; after the last one there is nothing left. Null: nothing is kept. */
  part(index: number): Uint8Array | null {
    const part = this.#parts[index] ?? null;
    if (part === null || index === this.#parts.length - 1) this.#forget();
    else this.#keep();
    return part;
  }

  #keep(): void {
    if (this.#expiry !== null) clearTimeout(this.#expiry);
    this.#expiry = setTimeout(() => this.#forget(), KEPT_MS).unref();
  }

  #forget(): void {
    if (this.#expiry !== null) clearTimeout(this.#expiry);
    this.#expiry = null;
    this.#parts = [];
    this.#busy = false;
  }
}

async function cpuProfile(seconds: number): Promise<Buffer[]> {
  const session = await connected();
  try {
    await session.post("Profiler.enable");
    await session.post("Profiler.start");
    await sleep(seconds * 1000);
    const { profile } = await session.post("Profiler.stop");
    const text = Buffer.from(JSON.stringify(profile));
    const parts: Buffer[] = [];
    for (let at = 0; at < text.length; at += PART_BYTES) parts.push(text.subarray(at, at + PART_BYTES));
    return parts;
  } finally {
    session.disconnect();
  }
}

async function heapSnapshot(): Promise<Buffer[]> {
  const session = await connected();
  const parts: Buffer[] = [];
  let bytes = 0;
  session.on("HeapProfiler.addHeapSnapshotChunk", ({ params }) => {
    const part = Buffer.from(params.chunk);
    bytes += part.length;
    if (bytes <= BYTES_MAX) parts.push(part);
  });
  try {
    await session.post("HeapProfiler.takeHeapSnapshot");
  } finally {
    session.disconnect();
  }
  if (bytes > BYTES_MAX) throw new Error(`the snapshot has ${bytes} bytes, and at most ${BYTES_MAX} are kept`);
  return parts;
}

async function connected() {
  const { Session } = await import("node:inspector/promises");
  const session = new Session();
  session.connect();
  return session;
}
