/**
 * Connections whose bytes do not go through a socket of their own, but through a stream of regions that somebody else
 * carries: TLS in the middle of a pipeline. To a connection, and to TLS, this is the driver; what it is told goes to the
 * carrier, and the carrier tells the socket's handler what has come. Nothing is queued here.
 */
import { Socket } from "#io/socket.ts";
import type { Transport } from "./transport.ts";

export interface StreamCarrier {
  send(buffer: number, start: number, end: number): void;
  /** Nothing more will be sent. */
  shutdown(): void;
  close(): void;
  reset(): void;
  /** Nothing is to come until `resume`. */
  pause(): void;
  resume(): void;
}

class CarriedSocket extends Socket {
  readonly carrier: StreamCarrier;

  constructor(carrier: StreamCarrier) {
    super(0);
    this.carrier = carrier;
  }
}

/** A socket that `carrier` carries, for `Connection.adopt`, with this as the connection's transport. */
export function carriedSocket(carrier: StreamCarrier): Socket {
  return new CarriedSocket(carrier);
}

function carrierOf(socket: Socket): StreamCarrier | null {
  return socket instanceof CarriedSocket ? socket.carrier : null;
}

export const STREAM_TRANSPORT: Transport = {
  startReceive: (socket) => carrierOf(socket)?.resume(),
  stopReceive: (socket) => carrierOf(socket)?.pause(),
  send: (socket, buffer, start, end) => carrierOf(socket)?.send(buffer, start, end),
  shutdown: (socket) => carrierOf(socket)?.shutdown(),
  close: (socket) => carrierOf(socket)?.close(),
  reset: (socket) => carrierOf(socket)?.reset(),
};
