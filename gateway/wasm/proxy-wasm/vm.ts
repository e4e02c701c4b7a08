/**
 * One instance of a Proxy-Wasm plugin: its callbacks, its contexts, and what its host calls have asked for. One plugin
 * context (id 1) and one context for each stream that is under way. It runs a callback to its end; nothing waits inside.
 *
 * Lifecycle (ABI, "Context lifecycle"):
 *
 *     _initialize, main | _start  ─▶  on_context_create(1, 0)  ─▶  on_vm_start  ─▶  on_configure  ─▶  streams, ticks, answers
 *     a stream: on_context_create(id, 1) ─▶ its callbacks ─▶ on_done ─▶ on_log ─▶ on_delete
 */
import type { Guest } from "#wasm/guest/guest.ts";
import { type GuestHooks, makeHooks } from "#wasm/guest/hooks.ts";
import { PHASE_DEAD, PHASE_REQUEST } from "#wasm/guest/phases.ts";
import type { FetchResponse } from "#pipeline/filter.ts";
import type { ProxyCallbackName, ProxyWasmVersion } from "./abi.ts";
import type { StreamContext } from "./contexts.ts";
import { GuestBuffer } from "./guest-buffer.ts";
import type { Pair } from "./pairs.ts";
import type { PluginIdentity } from "./identity.ts";

export type Callback = (...args: number[]) => number | undefined;
export type Callbacks = { readonly [Name in ProxyCallbackName]?: Callback };

/** The plugin's own context. */
export const ROOT_ID = 1;
const FIRST_STREAM_ID = 2;
const IDS_MAX = 0x7fff_ffff;

/** A call to an upstream that the guest has made. */
export interface OutgoingCall {
  readonly id: number;
  /** Index into the snapshot's upstreams. */
  readonly upstream: number;
  readonly method: string;
  readonly path: string;
  readonly headers: readonly Pair[];
  readonly body: Uint8Array;
  readonly timeoutMs: number;
  readonly context: StreamContext | null;
}

/** Who runs the VM. Absent while it is configured: what is asked for then is kept. */
export interface VmOwner {
  /** `error` came out of a callback, or null: a host call has ended the guest. */
  faulted(vm: ProxyWasmVm, error: unknown): void;
  ran(vm: ProxyWasmVm): void;
  called(vm: ProxyWasmVm, call: OutgoingCall): void;
  tickChanged(vm: ProxyWasmVm): void;
  queueReady(vm: ProxyWasmVm, id: number): void;
}

export class ProxyWasmVm {
  readonly guest: Guest;
  readonly version: ProxyWasmVersion;
  readonly identity: PluginIdentity;
  readonly callbacks: Callbacks;
  readonly contexts: Map<number, StreamContext>;
  /** The stream that host calls are about; null: the plugin's own context. */
  active: StreamContext | null;
  /** Contexts whose wishes are to be looked at when the callback is over. */
  readonly marked: StreamContext[];
  readonly configuration: GuestBuffer;
  /** Of the VM, while it starts. */
  readonly vmConfiguration: GuestBuffer;
  starting: boolean;
  /** The answer that the guest is being told of. */
  answer: FetchResponse | null;
  answerBody: GuestBuffer;
  /** Calls to upstreams that are not answered. */
  callsOut: number;
  tickMs: number;
  /** The guest is asked for memory: no host call that would ask again. */
  allocating: boolean;
  #owner: VmOwner | null;
  readonly #start: (() => void) | undefined;
  readonly #waiting: OutgoingCall[];
  /** Queues that it has registered while it was configured. */
  readonly #queues: number[];
  #nextId: number;
  #nextCall: number;

  constructor(
    guest: Guest,
    version: ProxyWasmVersion,
    callbacks: Callbacks,
    identity: PluginIdentity,
    start: (() => void) | undefined,
  ) {
    this.guest = guest;
    this.version = version;
    this.callbacks = callbacks;
    this.identity = identity;
    this.contexts = new Map();
    this.active = null;
    this.marked = [];
    this.configuration = new GuestBuffer();
    this.vmConfiguration = new GuestBuffer();
    this.starting = false;
    this.answer = null;
    this.answerBody = new GuestBuffer();
    this.callsOut = 0;
    this.tickMs = 0;
    this.allocating = false;
    this.#owner = null;
    this.#start = start;
    this.#waiting = [];
    this.#queues = [];
    this.#nextId = FIRST_STREAM_ID;
    this.#nextCall = 1;
  }

  /** Runs everything that comes before the first stream. A guest that has ended meanwhile says so by its phase. */
  start(): void {
    const { callbacks } = this;
    this.#start?.();
    if (callbacks._initialize !== undefined) {
      callbacks._initialize();
      if (callbacks.main !== undefined) callbacks.main(0, 0);
      else callbacks.__main_void?.();
    } else {
      callbacks._start?.();
    }
  }

  /** 0: the configuration is accepted. */
  configure(): number {
    const { callbacks, identity } = this;
    this.configuration.append(identity.configuration, 0, identity.configuration.length);
    this.vmConfiguration.append(identity.vmConfiguration, 0, identity.vmConfiguration.length);
    callbacks.proxy_on_context_create?.(ROOT_ID, 0);
    this.starting = true;
    const started = callbacks.proxy_on_vm_start?.(ROOT_ID, identity.vmConfiguration.length) ?? 1;
    this.starting = false;
    if (started === 0 || this.guest.phase === PHASE_DEAD) return 1;
    const accepted = callbacks.proxy_on_configure?.(ROOT_ID, identity.configuration.length) ?? 1;
    return accepted === 0 ? 1 : 0;
  }

  /** From here on callbacks run. What was asked for while it was configured is done. */
  attach(owner: VmOwner): void {
    this.#owner = owner;
    for (const call of this.#waiting.splice(0)) owner.called(this, call);
    for (const id of this.#queues.splice(0)) this.identity.queues.listen(id, this);
    if (this.tickMs > 0) owner.tickChanged(this);
  }

  /** It is out of use: nothing that outlives it refers to it. */
  detach(): void {
    this.#owner = null;
    this.identity.queues.leave(this);
  }

  /** False once a host call, or a trap, has ended the guest: no host call does anything any more. */
  get alive(): boolean {
    return this.guest.phase !== PHASE_DEAD;
  }

  /** An id that no context has. */
  newContextId(): number {
    do {
      this.#nextId = this.#nextId >= IDS_MAX ? FIRST_STREAM_ID : this.#nextId + 1;
    } while (this.contexts.has(this.#nextId));
    return this.#nextId;
  }

  /**
   * Runs a callback about a stream, or about the plugin itself (null). Answers what it answers; 0 where the module has none
   * and when the guest has ended in it: `alive` tells.
   */
  invoke(callback: Callback | undefined, context: StreamContext | null, a = 0, b = 0, c = 0, d = 0, e = 0): number {
    const { guest } = this;
    if (callback === undefined || guest.phase === PHASE_DEAD) return 0;
    this.active = context;
    let answer: number;
    try {
      guest.begin(null, PHASE_REQUEST);
      answer = callback(a, b, c, d, e) ?? 0;
    } catch (error) {
      this.active = null;
      this.#owner?.faulted(this, error);
      return 0;
    }
    this.active = null;
    if (this.guest.phase === PHASE_DEAD) {
      this.#owner?.faulted(this, null);
      return 0;
    }
    this.#owner?.ran(this);
    guest.finish();
    return answer;
  }

  /** What the guest wishes for this context is looked at when the callback is over. */
  mark(context: StreamContext): void {
    if (context.marked) return;
    context.marked = true;
    this.marked.push(context);
  }

  /** Sends a request; answers its id. */
  call(wanted: Omit<OutgoingCall, "id">): number {
    const call = { ...wanted, id: this.#nextCall++ };
    this.callsOut++;
    if (call.context !== null) call.context.callsOut++;
    if (this.#owner === null) this.#waiting.push(call);
    else this.#owner.called(this, call);
    return call.id;
  }

  /** The answer of a call, or that there is none: the guest is told, about itself. */
  answered(call: OutgoingCall, answer: FetchResponse): void {
    this.callsOut--;
    if (call.context !== null) call.context.callsOut--;
    const fields = answer.status === 0 ? 0 : answer.headers.length + 1;
    const { length } = answer.body;
    this.answer = answer;
    this.answerBody.show(answer.body, 0, length);
    this.invoke(this.callbacks.proxy_on_http_call_response, null, ROOT_ID, call.id, fields, length, 0);
    this.answer = null;
    this.answerBody.clear();
  }

  /** It wants to be told of the queue's items, from when callbacks run. */
  listen(id: number): void {
    if (this.callbacks.proxy_on_queue_ready === undefined) return;
    if (this.#owner === null) this.#queues.push(id);
    else this.identity.queues.listen(id, this);
  }

  queueReady(id: number): void {
    this.#owner?.queueReady(this, id);
  }

  tickEvery(ms: number): void {
    this.tickMs = ms;
    this.#owner?.tickChanged(this);
  }

  /** Memory of the guest's own allocator; 0 when it has none to give. */
  allocate(bytes: number): number {
    const allocator = this.callbacks.proxy_on_memory_allocate ?? this.callbacks.malloc;
    if (allocator === undefined) return 0;
    if (this.allocating) {
      this.guest.fail("a host call that needs memory, made while memory was asked for");
      return 0;
    }
    this.allocating = true;
    const pointer = (allocator(bytes) ?? 0) >>> 0;
    this.allocating = false;
    return pointer;
  }
}

interface HooksOfVm extends GuestHooks {
  readonly vm: ProxyWasmVm;
}

/** What stands in the place of a guest's hooks: its filter runs callbacks by `invoke`, and only these two as hooks. */
export function hooksOfVm(vm: ProxyWasmVm): GuestHooks {
  const hooks: HooksOfVm = { ...makeHooks(0, { start: () => vm.start(), configure: () => vm.configure() }), vm };
  return hooks;
}

/** The VM of a guest: host calls find it so. */
export function vmOf(guest: Guest): ProxyWasmVm {
  return (guest.hooks as HooksOfVm).vm;
}
