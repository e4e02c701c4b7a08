/** Two connections joined byte for byte, after an upgrade or a CONNECT. */
import { METHOD_CONNECT, type Head } from "#http/head.ts";
import type { Connection } from "#net/connection.ts";
import type { HeldRegions } from "#net/held.ts";
import type { ReleasedUpstream } from "#upstream/stream.ts";
import type { ListenerContext } from "./context.ts";
import { Relay } from "./stream/relay.ts";
import { NO_TAPS } from "./stream/taps.ts";

/** The client's side, which tells its listener when the tunnel has closed. */
interface ReleasedDownstream {
  readonly connection: Connection;
  readonly held: HeldRegions;
  left(): void;
}

/** Without a byte in either direction for this long, a tunnel is closed. */
const IDLE_MS = 10 * 60_000;
const SWITCHING_PROTOCOLS = 101;

/** Whether the tunnel that a response begins is what its request asked for: an upgrade by 101, a CONNECT by a success. */
export function asksForTunnel(request: Head, response: Head): boolean {
  return response.status === SWITCHING_PROTOCOLS ? request.upgrade : request.method === METHOD_CONNECT;
}

/** Takes both over; what was received behind the heads goes first. `listener`: the client's. */
export function startTunnel(listener: ListenerContext, down: ReleasedDownstream, up: ReleasedUpstream): void {
  const owner = {
    onRelayEnd(): void {
      down.held.clear();
      up.held.clear();
      up.left();
      down.left();
    },
  };
  const wanted = listener.engine.snapshot.listeners[listener.index]?.sockmap === true;
  const sockmap = wanted ? listener.worker.sockmap() : null;
  new Relay(down.connection, up.connection, IDLE_MS, owner, NO_TAPS, sockmap).start(down.held, up.held);
}
