/** `acceptSOCKS` and `connectSOCKS`: the handshake taken off, or put in front of, a stream that a sub-pipeline carries on. */
import { Socks4Client } from "#pipeline/codecs/socks/client4.ts";
import { SocksClient, type ConnectStep, type SocksCredentials } from "#pipeline/codecs/socks/client.ts";
import { SocksServer, type SocksRequest } from "#pipeline/codecs/socks/server.ts";
import { writeBytes } from "#pipeline/events/emit.ts";
import { CONNECT_FAILED, ENDED, MALFORMED, NO_TARGET, OVERLOADED, type Ending } from "#pipeline/events/ending.ts";
import { JoinFilter } from "#pipeline/filters/join-filter.ts";
import type { Handler } from "#pipeline/filters/script-filter.ts";
import type { Context } from "#pipeline/layout/context.ts";
import type { Pipeline } from "#pipeline/layout/pipeline.ts";
import type { Scope } from "#pipeline/layout/scope.ts";

export interface AcceptSocksOptions {
  /** Asks clients of version 5 for a name and a password, and refuses version 4. */
  readonly authenticate?: (user: string, password: string) => boolean;
}

export class AcceptSocks<C extends object> extends JoinFilter<C> {
  readonly #handler: Handler<SocksRequest, C, boolean>;
  readonly #server: SocksServer;

  constructor(
    scope: Scope<C>,
    pipeline: Pipeline<C>,
    handler: Handler<SocksRequest, C, boolean>,
    options: AcceptSocksOptions,
  ) {
    super(scope, pipeline);
    this.#handler = handler;
    this.#server = new SocksServer(options.authenticate ?? null);
  }

  override takeData(buffer: number, start: number, end: number): void {
    if (this.child !== null) return this.child.data(buffer, start, end);
    let step: ReturnType<SocksServer["push"]>;
    try {
      step = this.#server.push(this.memory.slice(start, end));
    } catch (error) {
      return this.scope.fail(error);
    }
    if (step.send !== null && !this.write(step.send)) return;
    if (step.refused !== null) {
      this.scope.runtime.log(`SOCKS: ${step.refused}`);
      this.scope.break(step.told ? ENDED : MALFORMED);
    } else if (step.request !== null) this.answer(this.#handler, step.request, (accepted) => this.#decide(accepted));
  }

  override takeStreamEnd(ending: Ending): void {
    (this.child ?? this.output).streamEnd(ending);
  }

  #decide(accepted: boolean): void {
    if (!this.write(accepted ? this.#server.accept() : this.#server.reject())) return;
    if (!accepted) return this.scope.break(ENDED);
    const child = this.join();
    const { rest } = this.#server;
    if (rest.length > 0 && !writeBytes(rest, child, this.scope.runtime)) this.scope.break(OVERLOADED);
  }
}

/** Where to, and as whom. */
export interface SocksTarget {
  readonly host: string;
  readonly port: number;
  /** Of 4 only the user is told. */
  readonly credentials?: SocksCredentials;
  /** 5 where it is left out; of 4, a host that is a name goes by 4a. */
  readonly version?: 4 | 5;
}

/** `host:port`, or in parts; undefined: nowhere. */
export type SocksTargetOf<C extends object> =
  | string
  | SocksTarget
  | ((context: Context<C>) => string | SocksTarget | undefined);

/**
 * What the stream has to send waits until the server has answered. What the server says is the filter's own until then,
 * and the stream's afterwards.
 */
export class ConnectSocks<C extends object> extends JoinFilter<C> {
  readonly #target: SocksTargetOf<C>;
  #client: SocksClient | Socks4Client | null = null;

  constructor(scope: Scope<C>, pipeline: Pipeline<C>, target: SocksTargetOf<C>) {
    super(scope, pipeline);
    this.#target = target;
  }

  override takeData(buffer: number, start: number, end: number): void {
    this.child?.data(buffer, start, end);
  }

  override takeStreamEnd(ending: Ending): void {
    (this.child ?? this.output).streamEnd(ending);
  }

  /** Greets the server, which may be the first to speak; what comes from the stream waits. */
  override started(): void {
    let target: string | SocksTarget | undefined;
    try {
      target = typeof this.#target === "function" ? this.#target(this.scope.context) : this.#target;
    } catch (error) {
      return this.scope.fail(error);
    }
    const where = typeof target === "string" ? split(target) : target;
    if (where === undefined) return this.scope.break(NO_TARGET);
    const { credentials = null, version = 5 } = where;
    this.#client = version === 4 ? new Socks4Client(where, credentials?.user) : new SocksClient(where, credentials);
    this.hold();
    this.join({
      messageStart: () => {},
      messageEnd: () => {},
      data: (buffer, start, end) => this.#fromServer(buffer, start, end),
      streamEnd: (ending) => this.#serverEnded(ending),
    });
    this.#step(this.#client.start());
  }

  #fromServer(buffer: number, start: number, end: number): void {
    if (this.#client === null) return this.output.data(buffer, start, end);
    const client = this.#client;
    const step = client.push(this.memory.slice(start, end));
    if (!this.#step(step) || !step.done) return;
    this.#client = null;
    if (client.rest.length > 0 && !this.write(client.rest)) return;
    this.release();
  }

  #serverEnded(ending: Ending): void {
    this.output.streamEnd(this.#client === null || ending !== ENDED ? ending : CONNECT_FAILED);
  }

  #step({ send, failed }: ConnectStep): boolean {
    if (failed !== null) {
      this.scope.runtime.log(`SOCKS: ${failed}`);
      this.scope.break(CONNECT_FAILED);
      return false;
    }
    if (send === null || this.child === null || writeBytes(send, this.child, this.scope.runtime)) return true;
    this.scope.break(OVERLOADED);
    return false;
  }
}

function split(target: string): SocksTarget | undefined {
  const colon = target.lastIndexOf(":");
  const port = Number(target.slice(colon + 1));
  if (colon <= 0 || !Number.isInteger(port) || port < 1 || port > 65_535) return undefined;
  return { host: target.slice(0, colon).replace(/^\[(.*)\]$/, "$1"), port };
}
