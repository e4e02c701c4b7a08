/**
 * `connect`: bytes in go to a target, what the target sends comes out. Connects at once when it is known where to, else
 * with the first event; what comes before the connection stands is kept, and its source stopped.
 *
 * A target is `10.0.0.1:80`, `[2001:db8::1]:80`, `unix:/run/app.sock`, or `api.internal:80`, which is resolved by the gateway's own resolver. One that
 * is undefined is NO_TARGET.
 */
import { ipOf, isIpv4, parseIp, readAddress, readIp, readNamedAddress, socketAddress } from "#core/address.ts";
import { ETIMEDOUT } from "#core/errno.ts";
import { pipelineError } from "#core/errors/pipeline.ts";
import { Alarm } from "#net/alarm.ts";
import { Connection } from "#net/connection.ts";
import { TLS_FAILED, TLS_UNTRUSTED } from "#net/tls/client-tls.ts";
import { CONNECT_FAILED, CONNECT_TIMEOUT, ENDED, NO_TARGET, UNTRUSTED, type Ending } from "#pipeline/events/ending.ts";
import { ScriptFilter, FAILED } from "#pipeline/filters/script-filter.ts";
import type { Context } from "#pipeline/layout/context.ts";
import type { Scope } from "#pipeline/layout/scope.ts";
import type { ConnectTlsOptions } from "#pipeline/runtime.ts";
import { SocketStream, type SocketOwner } from "./socket-stream.ts";

export type Target = string | undefined | null;
export type TargetOf<C extends object> = Target | ((context: Context<C>) => Target | Promise<Target>);

export type ConnectState = "connecting" | "connected" | "failed" | "closed";

export interface ConnectOptions {
  /** `tcp` where it is left out, which also stands for Unix sockets. */
  readonly protocol?: "tcp" | "udp" | "netlink";
  /** The local address to connect from, `192.0.2.7`; its port is the kernel's choice. Of a name, addresses of its family are taken. */
  readonly bind?: string;
  /** Milliseconds until a connection is given up; 5000. */
  readonly connectTimeoutMs?: number;
  /** Milliseconds without a byte in either direction; 600 000. */
  readonly idleTimeoutMs?: number;
  /** How often a connect that failed is tried again; 0. Datagrams are not connected: this, the delay and `onState` are not theirs. */
  readonly retryCount?: number;
  readonly retryDelayMs?: number;
  /** Encrypts; `{}` verifies the target by the name or address it has here. */
  readonly tls?: ConnectTlsOptions;
  /** Told of each change; `error` is an errno, or 0. */
  readonly onState?: (state: ConnectState, error: number) => void;
}

export class Connect<C extends object> extends ScriptFilter<C> implements SocketOwner {
  readonly #targetOf: TargetOf<C>;
  readonly #options: ConnectOptions;
  readonly #local: Uint8Array | undefined;
  #target = "";
  #stream: SocketStream | null = null;
  #established = false;
  #asked = false;
  #retries = 0;
  #alarm: Alarm | null = null;

  constructor(scope: Scope<C>, target: TargetOf<C>, options: ConnectOptions, local?: Uint8Array) {
    super(scope);
    this.#targetOf = target;
    this.#options = options;
    this.#local = local;
  }

  override started(): void {
    if (typeof this.#targetOf !== "function") this.#ask();
    else this.#ask(true);
  }

  override messageStart(): void {}

  override messageEnd(): void {}

  override data(buffer: number, start: number, end: number): void {
    if (!this.#asked) this.#ask();
    super.data(buffer, start, end);
  }

  override streamEnd(ending: Ending): void {
    if (!this.#asked && ending === ENDED) this.#ask();
    if (this.#established || ending === ENDED) super.streamEnd(ending);
    else this.#giveUp();
  }

  override takeData(buffer: number, start: number, end: number): void {
    this.#stream?.data(buffer, start, end);
  }

  override takeStreamEnd(ending: Ending): void {
    this.#stream?.streamEnd(ending);
  }

  override dispose(): void {
    super.dispose();
    this.#giveUp();
  }

  #giveUp(): void {
    this.#alarm?.cancel();
    const stream = this.#stream;
    if (stream === null) return;
    this.#stream = null;
    stream.close();
    this.#tell("closed", 0);
  }

  /** `tentative`: a target that is not known yet is asked for again later. */
  #ask(tentative = false): void {
    const targetOf = this.#targetOf;
    const answer = typeof targetOf === "function" ? this.call(targetOf as Asked<C>, this.scope.context) : targetOf;
    if (answer === FAILED || (tentative && (answer === undefined || answer === null))) return;
    this.#asked = true;
    if (answer instanceof Promise) this.waitFor(answer, (settled) => this.#dial(settled));
    else this.attempt((target) => this.#dial(target), answer);
  }

  #dial(target: Target): void {
    if (target === undefined || target === null) {
      this.scope.break(NO_TARGET);
      return;
    }
    this.#target = checkedTarget(target);
    this.hold();
    this.#reach();
  }

  #reach(): void {
    const target = this.#target;
    const { runtime } = this.scope;
    this.#tell("connecting", 0);
    this.#alarm ??= new Alarm(runtime.loop, () => this.connected(ETIMEDOUT));
    this.#alarm.set(this.#options.connectTimeoutMs ?? 5000);
    const address = readAddress(target);
    if (typeof address !== "string") {
      this.#connect(address);
      return;
    }
    const named = readNamedAddress(target);
    if (named === null) {
      this.scope.fail(pipelineError("PENSTOCK_PIPELINE_TARGET", { detail: `${JSON.stringify(target)}: ${address}` }));
      return;
    }
    runtime.resolve(named.host, (all) => {
      const addresses = reachableFrom(this.#local, all);
      const one = addresses[Math.floor(Math.random() * addresses.length)];
      // Given up meanwhile, or tried once more already.
      if (this.scope.ended || this.#stream !== null || one === undefined) return;
      this.#connect(socketAddress(parseIp(one), named.port));
    });
  }

  #connect(address: Uint8Array): void {
    const { runtime } = this.scope;
    const { idleTimeoutMs = 600_000, tls } = this.#options;
    const connection = new Connection(runtime.loop, runtime.gather);
    const stream = new SocketStream(connection, runtime, this, idleTimeoutMs);
    this.#stream = stream;
    try {
      if (tls !== undefined)
        runtime.clientTls(tls).dial(connection, address, hostOf(this.#target), stream, this.#local);
      else connection.adopt(runtime.loop.driver.connect(address, connection, this.#local), stream);
    } catch (error) {
      this.scope.fail(error);
    }
  }

  connected(error: number): void {
    this.#alarm?.cancel();
    const stream = this.#stream;
    if (error !== 0 || stream === null) {
      this.#stream = null;
      stream?.connection.close();
      this.#failed(error);
      return;
    }
    this.#established = true;
    this.#tell("connected", 0);
    stream.receiver = { input: this.output };
    stream.begin();
    this.release();
  }

  #failed(error: number): void {
    this.#tell("failed", error);
    const { retryCount = 0, retryDelayMs = 0 } = this.#options;
    if (this.#retries >= retryCount) {
      this.scope.break(endingOf(error));
      return;
    }
    this.#retries++;
    this.#alarm = new Alarm(this.scope.runtime.loop, () => {
      this.#alarm = null;
      this.#reach();
    });
    this.#alarm.set(retryDelayMs);
  }

  closed(): void {
    if (this.#stream === null) return;
    this.#stream = null;
    this.#tell("closed", 0);
  }

  #tell(state: ConnectState, error: number): void {
    const { onState } = this.#options;
    if (onState === undefined) return;
    try {
      onState(state, error);
    } catch (thrown) {
      this.scope.fail(thrown);
    }
  }
}

type Asked<C extends object> = (context: Context<C>) => Target | Promise<Target>;

/** Scripts may run unchecked. Throws PENSTOCK_PIPELINE_TARGET. */
export function checkedTarget(target: unknown): string {
  if (typeof target === "string") return target;
  throw pipelineError("PENSTOCK_PIPELINE_TARGET", { detail: `${typeof target} ${String(target)}` });
}

/** What `bind` says, as the kernel wants it. Throws PENSTOCK_PIPELINE_TARGET. */
export function localAddress({ bind }: ConnectOptions): Uint8Array | undefined {
  if (bind === undefined) return undefined;
  const ip = readIp(bind);
  if (typeof ip === "string")
    throw pipelineError("PENSTOCK_PIPELINE_TARGET", { detail: `bind ${JSON.stringify(bind)}: ${ip}` });
  return socketAddress(ip, 0);
}

/** Those of the local address's family; all where there is none. */
export function reachableFrom(local: Uint8Array | undefined, addresses: readonly string[]): readonly string[] {
  if (local === undefined) return addresses;
  return addresses.filter((one) => isIpv4(parseIp(one)) === isIpv4(ipOf(local)));
}

function hostOf(target: string): string {
  const host = target.slice(0, target.lastIndexOf(":"));
  return host.startsWith("[") ? host.slice(1, -1) : host;
}

function endingOf(error: number): Ending {
  if (error === ETIMEDOUT) return CONNECT_TIMEOUT;
  return error === TLS_UNTRUSTED || error === TLS_FAILED ? UNTRUSTED : CONNECT_FAILED;
}
