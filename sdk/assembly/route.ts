// Where an exchange or a stream goes, in place of what its route says.
import { route_to, upstream_open } from "./host";
import { encode, encoded, encodedLength } from "./text";

/** In `onRequest`, `onRequestBody` or `onConnection`. `endpoint`: `address:port`; empty: any of the upstream. False: not allowed, or there is none. */
export function routeTo(upstream: string, endpoint: string = ""): bool {
  encode(upstream);
  const handle = upstream_open(encoded, encodedLength);
  if (handle < 0) return false;
  encode(endpoint);
  return route_to(handle, encoded, encodedLength) == 1;
}
