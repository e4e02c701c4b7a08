/** Two connections joined byte for byte, after an upgrade. */
import type { Connection } from "#net/connection.ts";
import type { HeldRegions } from "#net/held.ts";
import type { ListenerContext } from "./context.ts";
import { Relay } from "./stream/relay.ts";
import { NO_TAPS } from "./stream/taps.ts";

interface Side {
  readonly connection: Connection;
  readonly held: HeldRegions;
}

/** The client's side tells its listener when the tunnel has closed. */
interface ClientSide extends Side {
  left(): void;
}

/** Without a byte in either direction for this long, a tunnel is closed. */
const IDLE_MS = 10 * 60_000;

/** Takes both over; what was received behind the heads goes first. `listener`: the client's. */
export function startTunnel(listener: ListenerContext, down: ClientSide, up: Side): void {
  const owner = {
    onRelayEnd(): void {
      down.held.clear();
      up.held.clear();
      down.left();
    },
  };
  const wanted = listener.engine.snapshot.listeners[listener.index]?.sockmap === true;
  const sockmap = wanted ? listener.worker.sockmap() : null;
  new Relay(down.connection, up.connection, IDLE_MS, owner, NO_TAPS, sockmap).start(down.held, up.held);
}
