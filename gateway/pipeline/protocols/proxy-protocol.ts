/**
 * `acceptProxyProtocol` and `connectProxyProtocol`: a PROXY header, version 1 or 2, taken off a stream or put in front of it. A
 * sub-pipeline carries the stream itself.
 */
import { formatIp, ipOf, portOf, readIp, socketAddress } from "#core/address.ts";
import { decodeProxyHeader } from "#net/proxy-protocol/decode.ts";
import { encodeProxyHeader } from "#net/proxy-protocol/encode.ts";
import { HEADER_BYTES_MAX, type ProxyHeader } from "#net/proxy-protocol/header.ts";
import { writeBytes } from "#pipeline/events/emit.ts";
import { ENDED, MALFORMED, OVERLOADED, type Ending } from "#pipeline/events/ending.ts";
import { JoinFilter } from "#pipeline/filters/join-filter.ts";
import { FAILED, type Handler } from "#pipeline/filters/script-filter.ts";
import type { Context } from "#pipeline/layout/context.ts";
import type { Pipeline } from "#pipeline/layout/pipeline.ts";
import type { Scope } from "#pipeline/layout/scope.ts";

/** Addresses are null where the header names none that we can use: a health check of the balancer's own, for one. */
export interface ProxyAddresses {
  readonly version: 1 | 2;
  readonly sourceAddress: string | null;
  readonly sourcePort: number;
  readonly destinationAddress: string | null;
  readonly destinationPort: number;
}

export class AcceptProxyProtocol<C extends object> extends JoinFilter<C> {
  readonly #handler: Handler<ProxyAddresses, C, boolean>;
  #held: Buffer = Buffer.alloc(0);
  #asked = false;

  constructor(scope: Scope<C>, pipeline: Pipeline<C>, handler: Handler<ProxyAddresses, C, boolean>) {
    super(scope, pipeline);
    this.#handler = handler;
  }

  override takeData(buffer: number, start: number, end: number): void {
    if (this.child !== null) return this.child.data(buffer, start, end);
    if (this.#asked) return;
    this.#held = Buffer.concat([this.#held, this.memory.subarray(start, end)]);
    const decoded = decodeProxyHeader(this.#held, 0, this.#held.length);
    if (decoded.kind === "more" && this.#held.length <= HEADER_BYTES_MAX) return;
    this.#asked = true;
    if (decoded.kind !== "header") {
      this.scope.runtime.log(`PROXY header: ${decoded.kind === "refused" ? decoded.reason : "there is none"}`);
      return this.scope.break(MALFORMED);
    }
    this.#held = this.#held.subarray(decoded.bytes);
    this.answer(this.#handler, addressesOf(decoded.header), (accepted) => this.#decide(accepted));
  }

  override takeStreamEnd(ending: Ending): void {
    const cut = this.child === null && ending === ENDED;
    (this.child ?? this.output).streamEnd(cut ? MALFORMED : ending);
  }

  #decide(accepted: boolean): void {
    if (!accepted) return this.scope.break(ENDED);
    const child = this.join();
    if (this.#held.length > 0 && !writeBytes(this.#held, child, this.scope.runtime)) this.scope.break(OVERLOADED);
    this.#held = Buffer.alloc(0);
  }
}

/** What a header says; version 1 unless given. Both addresses and ports, or the header says that nothing is known. */
export type ProxyHeaderOf<C extends object> = (context: Context<C>) => Partial<ProxyAddresses>;

export class ConnectProxyProtocol<C extends object> extends JoinFilter<C> {
  readonly #headerOf: ProxyHeaderOf<C>;

  constructor(scope: Scope<C>, pipeline: Pipeline<C>, headerOf: ProxyHeaderOf<C>) {
    super(scope, pipeline);
    this.#headerOf = headerOf;
  }

  override started(): void {
    const said = this.call<Context<C>, Partial<ProxyAddresses>>(this.#headerOf, this.scope.context);
    if (said === FAILED || said instanceof Promise) return;
    const source = sockaddr(said.sourceAddress, said.sourcePort);
    const destination = sockaddr(said.destinationAddress, said.destinationPort);
    const header = encodeProxyHeader(said.version === 2 ? "v2" : "v1", source, destination);
    if (!writeBytes(header, this.join(), this.scope.runtime)) this.scope.break(OVERLOADED);
  }

  override takeData(buffer: number, start: number, end: number): void {
    this.child?.data(buffer, start, end);
  }

  override takeStreamEnd(ending: Ending): void {
    (this.child ?? this.output).streamEnd(ending);
  }
}

/** AF_UNSPEC: a header that names nobody. */
const NOBODY = new Uint8Array(2);

function sockaddr(address: string | null | undefined, port = 0): Uint8Array {
  const ip = readIp(address ?? "");
  return typeof ip === "string" ? NOBODY : socketAddress(ip, port);
}

function addressesOf({ version, source, destination }: ProxyHeader): ProxyAddresses {
  return {
    version,
    sourceAddress: source === null ? null : formatIp(ipOf(source)),
    sourcePort: source === null ? 0 : portOf(source),
    destinationAddress: destination === null ? null : formatIp(ipOf(destination)),
    destinationPort: destination === null ? 0 : portOf(destination),
  };
}
