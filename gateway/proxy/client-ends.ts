/** A client's connection by its two addresses, for upstreams that want to be told. */
import { encodeProxyHeader, type ProxyVersion } from "#net/proxy-protocol/encode.ts";

export interface ClientEnds {
  /** Who the client is: struct sockaddr. */
  readonly address: Uint8Array;
  /** Where it believes to be connected to: struct sockaddr. */
  readonly destination: Uint8Array;
}

/** AF_UNIX and no name: an end that a PROXY header can't name. */
const NOBODY = Uint8Array.of(1, 0);

/** `client` null: the connection is the gateway's own, and the header says that nobody is known. */
export function proxyHeaderOf(version: ProxyVersion, client: ClientEnds | null): Uint8Array {
  return encodeProxyHeader(version, client?.address ?? NOBODY, client?.destination ?? NOBODY);
}
