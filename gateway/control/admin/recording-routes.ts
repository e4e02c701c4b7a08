/** `GET /v1/processes/…`: what a process of the gateway spends its time on, and what it keeps in memory. */
import * as v from "valibot";
import { controlError } from "#core/errors/control.ts";
import { Recorder, type Recorded, type RecordingKind } from "#observe/recorder.ts";
import { route, type Answer, type Call, type ResponseSpec, type RouteSpec } from "./route.ts";
import type { Services } from "./services.ts";

const SECONDS_DEFAULT = "10";
const seconds = v.optional(v.pipe(v.string(), v.regex(/^(?:[1-9]|[1-5]\d|60)$/, "a number from 1 to 60")));

/** Whose recordings are asked for: of one process, in parts. */
interface Source {
  record(kind: RecordingKind, seconds: number): Promise<Recorded>;
  part(index: number): Promise<Uint8Array | null> | Uint8Array | null;
}

export function recordingRoutes(services: Services): RouteSpec[] {
  const own = new Recorder();
  const sourceOf = (process: string): Source =>
    process === "control"
      ? own
      : {
          record: (kind, duration) => services.link.record({ process, kind, seconds: duration }),
          part: (part) => services.link.recordedPart({ process, part }),
        };
  const taken = async (kind: RecordingKind, call: Call): Promise<Answer> => {
    const { process = "" } = call.params;
    const duration = Number(call.query.get("seconds") ?? SECONDS_DEFAULT);
    const what = kind === "cpu" ? `record a CPU profile of ${duration} s` : "take a heap snapshot";
    services.store.audit({
      who: call.identity.who,
      what: `${what} of ${process}`,
      subject: process,
      revision: 0,
      outcome: "done",
      reason: "",
    });
    const source = sourceOf(process);
    const recorded = await source.record(kind, duration);
    if (!recorded.ok) throw refused(recorded);
    return { stream: partsOf(source, recorded.parts), headers: { "content-type": "application/json" } };
  };
  const answer = (description: string): Record<number, ResponseSpec> => ({
    200: { description, schema: v.looseObject({}) },
  });
  return [
    route({
      method: "GET",
      path: "/v1/processes/{process}/cpu-profile",
      operationId: "getCpuProfile",
      summary: "Record what supervisor, control or worker-N spends its time on; it works on meanwhile",
      tag: "status",
      access: "admin",
      query: { seconds },
      responses: answer("A .cpuprofile, as Chrome's developer tools read it"),
      handle: (call) => taken("cpu", call),
    }),
    route({
      method: "GET",
      path: "/v1/processes/{process}/heap-snapshot",
      operationId: "getHeapSnapshot",
      summary: "What supervisor, control or worker-N has in memory, secrets included; it stands still for a moment",
      tag: "status",
      access: "admin",
      responses: answer("A .heapsnapshot, as Chrome's developer tools read it"),
      handle: (call) => taken("heap", call),
    }),
  ];
}

function refused({ code, detail }: Extract<Recorded, { ok: false }>): Error {
  return controlError(code === "none" ? "PENSTOCK_CONTROL_NOT_FOUND" : "PENSTOCK_CONTROL_RECORDING", { detail });
}

/** As fast as the client reads; ends early, as an error, when the process has gone meanwhile. */
function partsOf(source: Source, parts: number): ReadableStream<Uint8Array> {
  let next = 0;
  return new ReadableStream({
    async pull(controller) {
      if (next === parts) {
        controller.close();
        return;
      }
      const part = await source.part(next++);
      if (part === null) throw new Error("the recording is gone");
      controller.enqueue(part);
    },
  });
}
