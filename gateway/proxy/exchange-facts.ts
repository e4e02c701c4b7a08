/** What filters can ask of an exchange beside its heads; nothing is made before it is asked for. */
import { formatAddress } from "#core/address.ts";
import type { Head } from "#http/head.ts";
import type { ExchangeFacts } from "#pipeline/filter.ts";
import type { DownstreamStream } from "./downstream-stream.ts";
import { OUTCOMES, type Outcome } from "./outcomes.ts";

/** An exchange, as its facts see it. */
export interface FactSource {
  readonly routeName: string;
  readonly upstreamName: string;
  readonly upstreamAddress: string;
  readonly downstream: DownstreamStream | null;
  readonly response: Head;
  readonly ended: boolean;
  readonly startMs: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
}

export class FactsOfExchange implements ExchangeFacts {
  readonly #exchange: FactSource;
  #outcome: Outcome = 0;
  #status = 0;
  #durationMs = 0;

  constructor(exchange: FactSource) {
    this.#exchange = exchange;
  }

  /** It has ended. */
  settle(outcome: Outcome, status: number, durationMs: number): void {
    this.#outcome = outcome;
    this.#status = status;
    this.#durationMs = durationMs;
  }

  get routeName(): string {
    return this.#exchange.routeName;
  }

  get upstreamName(): string {
    return this.#exchange.upstreamName;
  }

  get upstreamAddress(): string {
    return this.#exchange.upstreamAddress;
  }

  get originalDestination(): string {
    return this.#exchange.downstream?.originalAddress ?? "";
  }

  get clientSocket(): string {
    const { downstream } = this.#exchange;
    return downstream === null ? "" : formatAddress(downstream.address);
  }

  get localSocket(): string {
    const { downstream } = this.#exchange;
    return downstream === null ? "" : formatAddress(downstream.destination);
  }

  get serverName(): string {
    return this.#exchange.downstream?.tls?.serverName ?? "";
  }

  get tlsVersion(): string {
    return this.#exchange.downstream?.tls?.version ?? "";
  }

  get outcomeCode(): string {
    return this.#exchange.ended ? (OUTCOMES[this.#outcome]?.code ?? "unknown") : "";
  }

  get statusSent(): number {
    return this.#exchange.ended ? this.#status : this.#exchange.response.status;
  }

  /** NaN before the end. */
  get durationMs(): number {
    return this.#exchange.ended ? this.#durationMs : Number.NaN;
  }

  get requestBytes(): number {
    return this.#exchange.requestBytes;
  }

  get responseBytes(): number {
    return this.#exchange.responseBytes;
  }
}
