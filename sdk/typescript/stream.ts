import { Body } from "./body.ts";
import { facts } from "./facts.ts";
import { Request } from "./request.ts";
import { Action } from "./response.ts";

const request = new Request();

/** A connection or a UDP session of a stream route. */
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
}

/** Bytes of one direction. */
export class Data extends Body {
  readonly fromClient: boolean;

  constructor(fromUpstream: boolean, isLast: boolean) {
    super(isLast);
    this.fromClient = !fromUpstream;
  }
}

/** The stream is refused, or ended: the hook returns what this returns. */
export function refuse(): Action {
  return Action.Reply;
}
