/** What scripts answer, turned into events; and bytes from elsewhere, into regions of the data plane's memory. */
import { pipelineError } from "#core/errors/pipeline.ts";
import { bufferBytes, type Runtime } from "#pipeline/runtime.ts";
import { Data } from "./data.ts";
import { OVERLOADED } from "./ending.ts";
import { withLength } from "./length.ts";
import { Message, MessageEnd, MessageStart, StreamEnd } from "./messages.ts";
import type { Sink } from "./sink.ts";

/** What a handler may answer: nothing, an event, a whole message, text or bytes, or several of them in order. */
export type Emission =
  | void
  | undefined
  | null
  | Data
  | string
  | Uint8Array
  | MessageStart
  | MessageEnd
  | Message
  | StreamEnd
  | readonly Emission[];

/** Throws PENSTOCK_PIPELINE_EMISSION for what is no event. */
export function emit(emission: Emission, sink: Sink, runtime: Runtime): void {
  if (emission === undefined || emission === null) return;
  if (emission instanceof Data) emitData(emission, sink, runtime);
  else if (emission instanceof MessageStart) sink.messageStart(emission.head);
  else if (emission instanceof MessageEnd) sink.messageEnd(emission.tail);
  else if (emission instanceof StreamEnd) sink.streamEnd(emission.ending);
  else if (emission instanceof Message) emitMessage(emission, sink, runtime);
  else if (typeof emission === "string" || emission instanceof Uint8Array) emitData(new Data(emission), sink, runtime);
  else if (Array.isArray(emission)) for (const one of emission) emit(one, sink, runtime);
  else throw pipelineError("PENSTOCK_PIPELINE_EMISSION", { detail: `${typeof emission} ${String(emission)}` });
}

function emitMessage({ head, body, tail }: Message, sink: Sink, runtime: Runtime): void {
  sink.messageStart(withLength(head, body.size));
  emitData(body, sink, runtime);
  sink.messageEnd(tail);
}

function emitData(data: Data, sink: Sink, runtime: Runtime): void {
  if (data.size === 0) return;
  if (data.buffer >= 0) sink.data(data.buffer, data.start, data.end);
  else if (!writeBytes(data.view(), sink, runtime)) sink.streamEnd(OVERLOADED);
}

/** Copies into buffers of the arena and passes them on. False when there is none: what follows must not be sent. */
export function writeBytes(bytes: Uint8Array, sink: Sink, { buffers }: Runtime): boolean {
  const most = bufferBytes(buffers);
  for (let at = 0; at < bytes.length; at += most) {
    const buffer = buffers.allocate();
    if (buffer < 0) return false;
    const part = bytes.subarray(at, at + most);
    const start = buffer * most;
    buffers.memory.set(part, start);
    sink.data(buffer, start, start + part.length);
    buffers.release(buffer);
  }
  return true;
}
