// Connections and UDP sessions of stream routes: `onConnection`, `onData`, `onEnd`.
import { Body } from "./body";
import { facts } from "./facts";
import { Action } from "./response";
import { Request } from "./request";
import { routeTo } from "./route";

const request = new Request();

export class Stream {
  get clientAddress(): string {
    return request.clientAddress;
  }

  /** `tcp`, `udp` or `tls`. */
  get protocol(): string {
    return facts.protocol;
  }

  /** The name that a TLS client asked for; empty: none. */
  get serverName(): string {
    return facts.serverName;
  }

  /** Where a steered client wanted to go, `address:port`; empty: to the listener. */
  get originalDestination(): string {
    return facts.originalDestination;
  }

  /** In `onConnection`: it goes to this upstream, and there to `endpoint` if one is named. False: not allowed, or there is none. */
  routeTo(upstream: string, endpoint: string = ""): bool {
    return routeTo(upstream, endpoint);
  }
}

/** Bytes of one direction. */
export class Data extends Body {
  fromClient: bool = false;
}

/** The stream is refused, or ended: the hook returns what this returns. */
export function refuse(): Action {
  return Action.Reply;
}
