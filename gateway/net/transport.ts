/**
 * What carries a connection's bytes: the driver itself, or something between the two that changes them on the way, as TLS does. A
 * driver is a transport as it stands, so a plain connection has nothing in between.
 */
import type { Socket } from "#io/socket.ts";

/** The driver's calls on one socket; see `#io/driver.ts` for what they promise. */
export interface Transport {
  startReceive(socket: Socket): void;
  stopReceive(socket: Socket): void;
  send(socket: Socket, buffer: number, start: number, end: number): void;
  shutdown(socket: Socket): void;
  close(socket: Socket): void;
  reset(socket: Socket): void;
}
