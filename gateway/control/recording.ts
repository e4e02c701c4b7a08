/** Profiles and heap snapshots, as control and supervisor speak of them. */
import type { Recorded, RecordingKind } from "#observe/recorder.ts";

/** A profile, or a snapshot of the heap, of the supervisor (`supervisor`) or a worker (`worker-0`). */
export interface RecordingRequest {
  readonly type: "record";
  readonly id: number;
  readonly process: string;
  readonly kind: RecordingKind;
  /** Of a profile. */
  readonly seconds: number;
}

/** One part of what was recorded: the first is 0, each is asked for once, in order. */
export interface RecordingPartRequest {
  readonly type: "recorded-part";
  readonly id: number;
  readonly process: string;
  readonly part: number;
}

export interface RecordingReply {
  readonly type: "record-reply";
  readonly id: number;
  readonly result: Recorded;
}

export interface RecordingPartReply {
  readonly type: "recorded-part-reply";
  readonly id: number;
  /** Null: nothing is kept. */
  readonly bytes: Uint8Array | null;
}
