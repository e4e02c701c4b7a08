/** Host calls for what is known of an exchange or a stream beside its bytes, and for where it goes. */
import { MEASURES, PROPERTIES } from "#sdk/types/abi.ts";
import type { Guest } from "#wasm/guest/guest.ts";
import { PHASE_CONNECTION, PHASE_REQUEST, PHASE_REQUEST_BODY, PHASES_ALL } from "#wasm/guest/phases.ts";
import type { Makers } from "./signature.ts";
import { latin1Of, textToGuest } from "./transfer.ts";

const ADDRESS_BYTES_MAX = 256;

function propertyOf(guest: Guest, number: number): string | null {
  const { exchange, stream, environment, streamEnd } = guest;
  switch (number) {
    case PROPERTIES.route:
      return stream?.routeName ?? exchange?.facts?.routeName ?? "";
    case PROPERTIES.tenant:
      return environment.tenant.name;
    case PROPERTIES.plugin:
      return environment.name;
    case PROPERTIES.protocol:
      return stream?.protocol ?? (exchange === null ? "" : (exchange.scheme ?? "http"));
    case PROPERTIES.serverName:
      return stream?.serverName ?? exchange?.facts?.serverName ?? "";
    case PROPERTIES.originalDestination:
      return stream?.originalDestination ?? exchange?.facts?.originalDestination ?? "";
    case PROPERTIES.endpoint:
      return streamEnd?.endpoint ?? exchange?.facts?.upstreamAddress ?? "";
    case PROPERTIES.outcome:
      return streamEnd?.outcome ?? exchange?.facts?.outcomeCode ?? "";
    case PROPERTIES.clientCertificate:
      return (stream?.tls?.certificate ?? exchange?.clientCertificate)?.fingerprint ?? "";
    default:
      return null;
  }
}

function measureOf(guest: Guest, number: number): number {
  const { streamEnd } = guest;
  const facts = guest.exchange?.facts;
  switch (number) {
    case MEASURES.durationMs:
      return streamEnd?.durationMs ?? facts?.durationMs ?? Number.NaN;
    case MEASURES.bytesReceived:
      return streamEnd?.bytesReceived ?? facts?.requestBytes ?? Number.NaN;
    case MEASURES.bytesSent:
      return streamEnd?.bytesSent ?? facts?.responseBytes ?? Number.NaN;
    case MEASURES.status:
      return facts?.statusSent ?? Number.NaN;
    default:
      guest.fail(`measure of the unknown number ${number}`);
      return Number.NaN;
  }
}

export const factCalls: Makers<"property" | "measure" | "route_to"> = {
  property: (guest) => (number, pointer, capacity) => {
    if (!guest.may(PHASES_ALL, "property")) return -1;
    const text = propertyOf(guest, number);
    return text === null
      ? guest.fail(`property of the unknown number ${number}`)
      : textToGuest(guest, text, pointer, capacity);
  },

  measure: (guest) => (number) => (guest.may(PHASES_ALL, "measure") ? measureOf(guest, number) : 0),

  route_to: (guest) => (handle, pointer, length) => {
    if (!guest.may(PHASE_REQUEST | PHASE_REQUEST_BODY | PHASE_CONNECTION, "route_to")) return 0;
    const upstream = guest.environment.upstreamName(handle);
    const endpoint = latin1Of(guest, pointer, length, ADDRESS_BYTES_MAX, "an endpoint's address");
    if (endpoint === null) return 0;
    if (upstream === null) {
      guest.fail(`route_to with the unknown handle ${handle}`);
      return 0;
    }
    const target = guest.stream ?? guest.exchange;
    return target?.routeTo?.(upstream, endpoint) === true ? 1 : 0;
  },
};
