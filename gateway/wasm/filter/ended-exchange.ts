/**
 * What is left of an exchange for an end hook that waits: the engine takes the exchange for another request meanwhile. Its facts, its
 * client, and what the plugin has kept of it; heads can't be read in an end hook anyway.
 */
import { type Exchange, type ExchangeFacts } from "#pipeline/filter.ts";
import { NO_FIELDS } from "#wasm/guest/guest.ts";

export class EndedExchange implements Exchange {
  readonly request = NO_FIELDS;
  readonly response = NO_FIELDS;
  readonly clientAddress: string;
  readonly clientAddressBytes: Uint8Array;
  readonly clientCertificate: NonNullable<Exchange["clientCertificate"]> | null;
  readonly scheme: "http" | "https";
  readonly facts?: ExchangeFacts;
  readonly state: unknown[] = [];
  readonly ended = true;

  /** `position`: the place whose record is taken along. */
  constructor(exchange: Exchange, position: number) {
    this.clientAddress = exchange.clientAddress;
    this.clientAddressBytes = exchange.clientAddressBytes.slice();
    this.clientCertificate = exchange.clientCertificate ?? null;
    this.scheme = exchange.scheme ?? "http";
    if (exchange.facts !== undefined) this.facts = settled(exchange.facts);
    this.state[position] = exchange.state[position];
  }

  // There is nobody to do any of this for.

  respond(): void {}

  respondFrom(): void {}

  filterRequestBody(): void {}

  filterResponseBody(): void {}

  resume(): void {}
}

/** They are asked for by getters, of an exchange that will be another's. */
function settled(facts: ExchangeFacts): ExchangeFacts {
  return {
    routeName: facts.routeName,
    upstreamName: facts.upstreamName,
    upstreamAddress: facts.upstreamAddress,
    originalDestination: facts.originalDestination,
    clientSocket: facts.clientSocket,
    localSocket: facts.localSocket,
    serverName: facts.serverName,
    tlsVersion: facts.tlsVersion,
    outcomeCode: facts.outcomeCode,
    statusSent: facts.statusSent,
    durationMs: facts.durationMs,
    requestBytes: facts.requestBytes,
    responseBytes: facts.responseBytes,
  };
}
