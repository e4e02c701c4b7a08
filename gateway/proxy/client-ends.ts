/** A client's connection by its two addresses, for upstreams that want to be told. */
import { parseAddress, parseIp, socketAddress } from "#core/address.ts";
import type { Connection } from "#net/connection.ts";
import { encodeProxyHeader, type ProxyVersion } from "#net/proxy-protocol/encode.ts";

export interface ClientEnds {
  /** Who the client is: struct sockaddr. */
  readonly address: Uint8Array;
  /** Where it believes to be connected to: struct sockaddr. */
  readonly destination: Uint8Array;
}

/** AF_UNIX and no name: an end that a PROXY header can't name. */
const NOBODY = Uint8Array.of(1, 0);

/** Of a client by its address as text; empty: it has none. */
export function addressOf(client: string, port: number): Uint8Array {
  return client === "" ? NOBODY : socketAddress(parseIp(client), port);
}

/** Where a client believes to be: where it was steered away from, what a PROXY header has said, or what it is connected to. */
export function destinationOf(
  { socket, loop }: Connection,
  original: string | null,
  told: Uint8Array | null,
): Uint8Array {
  if (original !== null) return parseAddress(original);
  return told ?? (socket === null ? NOBODY : loop.driver.localAddress(socket));
}

/** `client` null: the connection is the gateway's own, and the header says that nobody is known. */
export function proxyHeaderOf(version: ProxyVersion, client: ClientEnds | null): Uint8Array {
  return encodeProxyHeader(version, client?.address ?? NOBODY, client?.destination ?? NOBODY);
}
