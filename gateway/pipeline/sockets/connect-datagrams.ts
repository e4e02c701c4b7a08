/** `connect` of UDP: messages in go to the target as datagrams, what it answers comes out as messages. */
import { parseIp, readAddress, readNamedAddress, socketAddress } from "#core/address.ts";
import { pipelineError } from "#core/errors/pipeline.ts";
import { Alarm } from "#net/alarm.ts";
import {
  CONNECT_FAILED,
  CONNECT_TIMEOUT,
  ENDED,
  IDLE_TIMEOUT,
  NO_TARGET,
  type Ending,
} from "#pipeline/events/ending.ts";
import { FAILED, ScriptFilter } from "#pipeline/filters/script-filter.ts";
import type { Context } from "#pipeline/layout/context.ts";
import type { Scope } from "#pipeline/layout/scope.ts";
import type { DatagramHandler, DatagramSocket } from "#pipeline/runtime.ts";
import { checkedTarget, reachableFrom, type ConnectOptions, type Target, type TargetOf } from "./connect.ts";
import { DatagramSource, DatagramWriter } from "./datagram-writer.ts";

const IDLE_MS = 60_000;

export class ConnectDatagrams<C extends object> extends ScriptFilter<C> implements DatagramHandler {
  readonly #targetOf: TargetOf<C>;
  readonly #options: ConnectOptions;
  readonly #local: Uint8Array | undefined;
  readonly #writer: DatagramWriter;
  readonly #source: DatagramSource;
  readonly #alarm: Alarm;
  #socket: DatagramSocket | null = null;
  #asked = false;
  #activityMs = 0;

  constructor(scope: Scope<C>, target: TargetOf<C>, options: ConnectOptions, local?: Uint8Array) {
    super(scope);
    this.#local = local;
    const { runtime } = scope;
    this.#targetOf = target;
    this.#options = options;
    this.#source = new DatagramSource(runtime);
    this.#writer = new DatagramWriter(
      runtime,
      (bytes) => this.#send(bytes),
      () => {},
    );
    this.#alarm = new Alarm(runtime.loop, () => this.#look());
  }

  override messageStart(head: object): void {
    this.#ask();
    super.messageStart(head);
  }

  override data(buffer: number, start: number, end: number): void {
    this.#ask();
    super.data(buffer, start, end);
  }

  override takeMessageStart(): void {
    this.#writer.messageStart();
  }

  override takeData(buffer: number, start: number, end: number): void {
    this.#writer.data(buffer, start, end);
  }

  override takeMessageEnd(): void {
    this.#writer.messageEnd();
  }

  /** There is no half-close: what is under way may still be answered, until the idle time is over. */
  override takeStreamEnd(ending: Ending): void {
    if (ending !== ENDED) this.#close();
  }

  override dispose(): void {
    super.dispose();
    this.#close();
  }

  #close(): void {
    this.#alarm.cancel();
    this.#socket?.close();
    this.#socket = null;
  }

  #ask(): void {
    if (this.#asked) return;
    this.#asked = true;
    const target = this.#targetOf;
    const answer = typeof target === "function" ? this.call(target as Asked<C>, this.scope.context) : target;
    if (answer === FAILED) return;
    if (answer instanceof Promise) this.waitFor(answer, (settled) => this.#reach(settled));
    else this.attempt((settled) => this.#reach(settled), answer);
  }

  #reach(target: Target): void {
    if (target === undefined || target === null) {
      this.scope.break(NO_TARGET);
      return;
    }
    const address = readAddress(checkedTarget(target));
    if (typeof address !== "string") {
      this.#open(address);
      return;
    }
    const named = readNamedAddress(target);
    if (named === null) {
      this.scope.fail(pipelineError("PENSTOCK_PIPELINE_TARGET", { detail: `${JSON.stringify(target)}: ${address}` }));
      return;
    }
    this.hold();
    this.#alarm.set(this.#options.connectTimeoutMs ?? 5000);
    this.scope.runtime.resolve(named.host, (all) => {
      const [first] = reachableFrom(this.#local, all);
      if (this.scope.ended || this.#socket !== null || first === undefined) return;
      this.#open(socketAddress(parseIp(first), named.port));
      this.release();
    });
  }

  #open(address: Uint8Array): void {
    const { loop } = this.scope.runtime;
    const socket = loop.driver.connectDatagrams(address, this, this.#local);
    if (typeof socket === "number") {
      this.scope.break(CONNECT_FAILED);
      return;
    }
    this.#socket = socket;
    this.#activityMs = loop.nowMs;
    this.#alarm.set(this.#options.idleTimeoutMs ?? IDLE_MS);
  }

  #send(bytes: Uint8Array): void {
    const socket = this.#socket;
    if (socket === null) return;
    this.#activityMs = this.scope.runtime.loop.nowMs;
    const start = socket.stage(bytes);
    socket.send(socket, start, start + bytes.length);
  }

  onDatagram({ memory, start, end }: DatagramSocket): void {
    this.#activityMs = this.scope.runtime.loop.nowMs;
    this.#source.deliver(memory.subarray(start, end), this.output);
  }

  /** What ICMP said of a datagram before: nobody is there. */
  onDatagramError(): void {
    this.#close();
    this.scope.break(CONNECT_FAILED);
  }

  #look(): void {
    const { loop } = this.scope.runtime;
    const limit = this.#activityMs + (this.#options.idleTimeoutMs ?? IDLE_MS);
    if (this.#socket === null) this.scope.break(CONNECT_TIMEOUT);
    else if (loop.nowMs < limit) this.#alarm.set(limit - loop.nowMs);
    else {
      this.#close();
      this.scope.break(IDLE_TIMEOUT);
    }
  }
}

type Asked<C extends object> = (context: Context<C>) => Target | Promise<Target>;
