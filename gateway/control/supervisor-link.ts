/**
 * Control's end of the channel to the supervisor: requests with answers, each bounded in time. An answer that comes too
 * late is logged and dropped.
 */
import { controlError } from "#core/errors/control.ts";
import type { Logger } from "./logger.ts";
import type { GatewayStatus } from "./gateway-status.ts";
import type {
  AppliedReply,
  BuildLimits,
  BuiltReply,
  ControlToSupervisor,
  CountersReply,
  CountersRequest,
  DeclareRequest,
  DeclaredReply,
  EntriesReply,
  EntriesRequest,
  ExplainReply,
  ExplainedRequest,
  HealthMessage,
  LinesReply,
  LinesRequest,
  MapReply,
  MapRequest,
  PluginAnswer,
  Reply,
  SealedReply,
  StatusReply,
  SupervisorToControl,
  TapReply,
  TapRequest,
  TellRequest,
  ToldReply,
  TraceReply,
  TraceRequest,
} from "./protocol.ts";
import type { SealedValue } from "./secret-values.ts";
import type { Purge, PurgeReply } from "./purge.ts";
import type { Recorded } from "#observe/recorder.ts";
import type { RecordingPartReply, RecordingPartRequest, RecordingReply, RecordingRequest } from "./recording.ts";
import { snapshotPatch } from "#snapshot/patch.ts";
import type { Snapshot } from "#snapshot/snapshot.ts";

/** The part of `process` that this needs; a test gives its own. */
export interface Channel {
  send(message: ControlToSupervisor, done: (error: Error | null) => void): void;
  onMessage(listener: (message: SupervisorToControl) => void): void;
}

interface Waiting {
  readonly type: Reply["type"];
  settle(reply: Reply): void;
  fail(error: Error): void;
}

/** Workers compile modules while they prepare, and a compile bomb is bounded by the builder: generous, not endless. */
const APPLY_TIMEOUT_MS = 60_000;
const QUICK_TIMEOUT_MS = 5000;
/** A plugin may wait for an upstream before it answers. */
const TELL_TIMEOUT_MS = 65_000;
/** On top of the builder's own bound: what it takes to start the process. */
const BUILD_MARGIN_MS = 10_000;
/** A large heap takes seconds to be written down. */
const RECORDING_MARGIN_MS = 30_000;

export interface LinkEvents {
  declare(request: DeclareRequest): void;
  /** This snapshot is in force now. */
  applied(snapshot: Snapshot): void;
  shutdown(): void;
}

export class SupervisorLink {
  readonly #channel: Channel;
  readonly #log: Logger;
  readonly #waiting = new Map<number, Waiting>();
  readonly #events: LinkEvents;
  /** What the supervisor has in force, by all we know; undefined before the first answer. */
  #inForce: Snapshot | undefined;
  #nextId = 1;

  constructor(channel: Channel, log: Logger, events: LinkEvents) {
    this.#channel = channel;
    this.#log = log;
    this.#events = events;
    channel.onMessage((message) => {
      if (message.type === "declare") events.declare(message);
      else if (message.type === "shutdown") events.shutdown();
      else this.#answered(message);
    });
  }

  ready(revision: number): void {
    this.#send({ type: "ready", revision }, (error) =>
      this.#log.error({ error: error.message }, "could not tell the supervisor"),
    );
  }

  declared(reply: DeclaredReply): void {
    this.#send(reply, (error) => this.#log.error({ error: error.message }, "could not tell the supervisor"));
  }

  async apply(snapshot: Snapshot): Promise<AppliedReply> {
    const modules = [...new Set(snapshot.plugins.map((plugin) => plugin.digest))];
    const before = this.#inForce;
    const change = (before === undefined ? null : snapshotPatch(before, snapshot)) ?? snapshot;
    // Until the answer is here nobody knows which of the two it is.
    this.#inForce = undefined;
    const reply = await this.#ask<AppliedReply>("applied", APPLY_TIMEOUT_MS, (id) => ({
      type: "apply",
      id,
      snapshot: change,
      modules,
    }));
    this.#inForce = reply.ok ? snapshot : before;
    if (reply.ok) this.#events.applied(snapshot);
    return reply;
  }

  health(verdict: Omit<HealthMessage, "type">): void {
    this.#send({ type: "health", ...verdict }, (error) =>
      this.#log.error({ error: error.message }, "could not tell the supervisor"),
    );
  }

  async build(bytes: Uint8Array, limits: BuildLimits): Promise<BuiltReply["result"]> {
    const timeoutMs = limits.timeoutMs + BUILD_MARGIN_MS;
    const reply = await this.#ask<BuiltReply>("built", timeoutMs, (id) => ({ type: "build", id, bytes, limits }));
    return reply.result;
  }

  /** The secret as only the supervisor can read it. */
  async seal(secret: Uint8Array, context: string): Promise<SealedValue> {
    const { sealed, fingerprint } = await this.#ask<SealedReply>("sealed", QUICK_TIMEOUT_MS, (id) => ({
      type: "seal",
      id,
      secret,
      context,
    }));
    return { sealed, fingerprint };
  }

  async status(): Promise<GatewayStatus> {
    const reply = await this.#ask<StatusReply>("status-reply", QUICK_TIMEOUT_MS, (id) => ({ type: "status", id }));
    return reply.status;
  }

  async explain(request: ExplainedRequest): Promise<ExplainReply["result"]> {
    const reply = await this.#ask<ExplainReply>("explain-reply", QUICK_TIMEOUT_MS, (id) => ({
      type: "explain",
      id,
      request,
    }));
    return reply.result;
  }

  /** Answers how many there were. */
  async purge(what: Purge): Promise<number> {
    const reply = await this.#ask<PurgeReply>("purge-reply", QUICK_TIMEOUT_MS, (id) => ({ type: "purge", id, what }));
    return reply.purged;
  }

  async map(map: string, op: MapRequest["op"]): Promise<MapReply["result"]> {
    const reply = await this.#ask<MapReply>("map-reply", QUICK_TIMEOUT_MS, (id) => ({ type: "map", id, map, op }));
    return reply.result;
  }

  async tap(route: string, after: TapRequest["after"]): Promise<TapReply["workers"]> {
    const request = (id: number): TapRequest => ({ type: "tap", id, route, after });
    return (await this.#ask<TapReply>("tap-reply", QUICK_TIMEOUT_MS, request)).workers;
  }

  async tell(message: Omit<TellRequest, "type" | "id">): Promise<readonly PluginAnswer[]> {
    const request = (id: number): TellRequest => ({ type: "tell", id, ...message });
    return (await this.#ask<ToldReply>("told", TELL_TIMEOUT_MS, request)).answers;
  }

  async lines({ tenant, after }: Omit<LinesRequest, "type" | "id">): Promise<LinesReply["workers"]> {
    const request = (id: number): LinesRequest => ({ type: "lines", id, tenant, after });
    return (await this.#ask<LinesReply>("lines-reply", QUICK_TIMEOUT_MS, request)).workers;
  }

  async entries(tenant: string, op: EntriesRequest["op"]): Promise<EntriesReply["result"]> {
    const request = (id: number): EntriesRequest => ({ type: "entries", id, tenant, op });
    return (await this.#ask<EntriesReply>("entries-reply", QUICK_TIMEOUT_MS, request)).result;
  }

  async counters(query: Omit<CountersRequest, "type" | "id">): Promise<CountersReply["result"]> {
    const reply = await this.#ask<CountersReply>("counters-reply", QUICK_TIMEOUT_MS, (id) => ({
      type: "counters",
      id,
      ...query,
    }));
    return reply.result;
  }

  async trace(query: Omit<TraceRequest, "type" | "id">): Promise<TraceReply["result"]> {
    const reply = await this.#ask<TraceReply>("trace-reply", QUICK_TIMEOUT_MS, (id) => ({
      type: "trace",
      id,
      ...query,
    }));
    return reply.result;
  }

  async record(what: Omit<RecordingRequest, "type" | "id">): Promise<Recorded> {
    const request = (id: number): RecordingRequest => ({ type: "record", id, ...what });
    return (await this.#ask<RecordingReply>("record-reply", what.seconds * 1000 + RECORDING_MARGIN_MS, request)).result;
  }

  async recordedPart(what: Omit<RecordingPartRequest, "type" | "id">): Promise<Uint8Array | null> {
    const request = (id: number): RecordingPartRequest => ({ type: "recorded-part", id, ...what });
    return (await this.#ask<RecordingPartReply>("recorded-part-reply", QUICK_TIMEOUT_MS, request)).bytes;
  }

  /** The channel is closed: nobody is going to answer. */
  abandon(): void {
    for (const waiting of this.#waiting.values()) waiting.fail(new Error("the supervisor is gone"));
  }

  #ask<T extends Reply>(type: T["type"], timeoutMs: number, request: (id: number) => ControlToSupervisor): Promise<T> {
    const id = this.#nextId++;
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(controlError("PENSTOCK_CONTROL_UNAVAILABLE", { detail: `no answer within ${timeoutMs} ms` }));
      }, timeoutMs);
      const fail = (error: Error) => {
        clearTimeout(timer);
        this.#waiting.delete(id);
        reject(controlError("PENSTOCK_CONTROL_UNAVAILABLE", { detail: error.message, cause: error }));
      };
      const settle = (reply: Reply) => {
        clearTimeout(timer);
        this.#waiting.delete(id);
        // Compared with the type that was asked for, by `#answered`.
        resolve(reply as T);
      };
      this.#waiting.set(id, { type, settle, fail });
      this.#send(request(id), fail);
    });
  }

  #answered(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id);
    if (waiting === undefined) this.#log.warn({ type: reply.type, id: reply.id }, "an answer came too late");
    else if (waiting.type === reply.type) waiting.settle(reply);
    else waiting.fail(new Error(`asked for ${waiting.type}, got ${reply.type}`));
  }

  #send(message: ControlToSupervisor, failed: (error: Error) => void): void {
    this.#channel.send(message, (error) => {
      if (error !== null) failed(error);
    });
  }
}
