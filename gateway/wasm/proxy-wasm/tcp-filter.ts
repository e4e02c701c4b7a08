/**
 * A Proxy-Wasm plugin as a filter of TCP streams. CONTINUE passes what the guest holds of a direction, PAUSE holds it, its end
 * included; `proxy_continue_stream` lets it go later.
 */
import {
  CLOSE,
  HOLD,
  type OpeningStream,
  PASS,
  type StreamFilter,
  type StreamLine,
  type StreamTap,
  type TapVerdict,
} from "#pipeline/stream-filter.ts";
import { ACTION_CONTINUE } from "./abi.ts";
import { HELD_BYTES_MAX } from "./calls/buffers.ts";
import type { ProxyWasmFilter } from "./filter.ts";
import type { TcpContext, TcpFlow } from "./tcp-context.ts";
import { ROOT_ID, type ProxyWasmVm } from "./vm.ts";

const NOTHING = new Uint8Array(0);
/** proxy_peer_type_t: who has closed a connection is not told apart. */
const PEER_UNKNOWN = 0;

export class ProxyWasmStreams implements StreamFilter {
  readonly #filter: ProxyWasmFilter;
  readonly name: string;
  /** Of the stream whose `admits` was called last: `tap` follows at once. */
  #admitted: GuestTap | null = null;

  constructor(filter: ProxyWasmFilter) {
    this.#filter = filter;
    this.name = filter.name;
  }

  admits(opening: OpeningStream): boolean {
    const filter = this.#filter;
    this.#admitted = null;
    // The interface knows no datagrams.
    const vm = opening.protocol === "udp" ? null : filter.vmForStream();
    if (vm === null) return !filter.deniesFaults;
    const context = filter.openStream(vm, opening);
    const { callbacks } = vm;
    vm.invoke(callbacks.proxy_on_context_create, null, context.id, ROOT_ID);
    const action = vm.invoke(callbacks.proxy_on_new_connection, context, context.id);
    if (!vm.alive) return !filter.deniesFaults;
    filter.settle(vm);
    if (context.wantsClose) {
      filter.closeStream(vm, context);
      return false;
    }
    // Nothing has come yet that could wait: the first bytes will.
    for (const flow of context.flows) flow.holding = action !== ACTION_CONTINUE;
    this.#admitted = new GuestTap(filter, vm, context);
    return true;
  }

  tap(): StreamTap | null {
    return this.#admitted;
  }
}

class GuestTap implements StreamTap {
  readonly #filter: ProxyWasmFilter;
  readonly #vm: ProxyWasmVm;
  readonly #context: TcpContext;

  constructor(filter: ProxyWasmFilter, vm: ProxyWasmVm, context: TcpContext) {
    this.#filter = filter;
    this.#vm = vm;
    this.#context = context;
  }

  attached(line: StreamLine): void {
    this.#context.line = line;
  }

  data(direction: 0 | 1, memory: Uint8Array, start: number, end: number, last: boolean): TapVerdict {
    const vm = this.#vm;
    const flow = this.#context.flows[direction];
    if (!vm.alive) return this.#filter.deniesFaults ? CLOSE : PASS;
    const { proxy_on_downstream_data: down, proxy_on_upstream_data: up } = vm.callbacks;
    const callback = direction === 0 ? down : up;
    if (callback === undefined && !flow.holding) return PASS;
    const { buffer } = flow;
    if (buffer.length === 0) buffer.show(memory, start, end);
    else buffer.append(memory, start, end);
    const side = this.#context.direction(direction + 2);
    if (side !== null) side.wantsOn = false;
    const held = flow.holding && callback === undefined;
    const action = vm.invoke(callback, this.#context, this.#context.id, buffer.length, last ? 1 : 0);
    if (!vm.alive) return this.#faulted(flow, memory, start, end);
    const goesOn = !held && (action === ACTION_CONTINUE || side?.wantsOn === true);
    if (side !== null) side.wantsOn = false;
    if (this.#context.wantsClose) return CLOSE;
    this.#filter.settle(vm);
    return goesOn ? this.#passed(flow) : this.#held(flow, last);
  }

  #passed(flow: TcpFlow): TapVerdict {
    const { buffer } = flow;
    flow.holding = false;
    const made = buffer.isRegion ? PASS : buffer.view.slice();
    buffer.clear();
    return made;
  }

  #held(flow: TcpFlow, last: boolean): TapVerdict {
    flow.holding = true;
    flow.buffer.keep();
    if (flow.buffer.length > HELD_BYTES_MAX) return CLOSE;
    flow.endHeld = last;
    return last ? HOLD : NOTHING;
  }

  /** The guest has ended over these bytes. */
  #faulted(flow: TcpFlow, memory: Uint8Array, start: number, end: number): TapVerdict {
    const bytes = flow.buffer.isRegion ? memory.slice(start, end) : flow.buffer.view.slice();
    flow.buffer.clear();
    return this.#filter.deniesFaults ? CLOSE : bytes;
  }

  closed(): void {
    const vm = this.#vm;
    const context = this.#context;
    const { callbacks } = vm;
    context.line = null;
    vm.invoke(callbacks.proxy_on_downstream_connection_close, context, context.id, PEER_UNKNOWN);
    vm.invoke(callbacks.proxy_on_upstream_connection_close, context, context.id, PEER_UNKNOWN);
    this.#filter.closeStream(vm, context);
  }
}
