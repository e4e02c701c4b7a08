/**
 * Host calls for connections of the plugin's own. `connect` and `connection_receive` suspend the guest. A connection lives as long as
 * the hook that made it.
 */
import type { RawConnection } from "#pipeline/connection.ts";
import { BODY_BYTES_MAX } from "#sdk/types/abi.ts";
import type { Guest } from "#wasm/guest/guest.ts";
import { PHASE_DEAD, PHASES_WAIT } from "#wasm/guest/phases.ts";
import { leftMs, timeoutWithin, waitFor } from "./deadline.ts";
import type { Makers } from "./signature.ts";
import { bytesOf, copyToGuest, inMemory } from "./transfer.ts";

/** At one time, of one hook. */
const CONNECTIONS_MAX = 4;
/** A stack of its own, a socket, a turn of the loop. */
const CONNECT_COST = 10_000;
const RECEIVE_COST = 5_000;

function connectionAt(guest: Guest, number: number, call: string): RawConnection | null {
  if (!guest.may(PHASES_WAIT, call)) return null;
  const found = guest.connections[number];
  if (found === undefined) guest.fail(`${call} with the unknown connection ${number}`);
  return found ?? null;
}

async function connect(guest: Guest, made: Promise<RawConnection | string>, allowedMs: number): Promise<number> {
  // It may be made when nobody waits for it any more.
  const kept = made.then((connection) => {
    if (guest.phase !== PHASE_DEAD || typeof connection === "string") return connection;
    connection.close();
    return null;
  });
  const connection = await waitFor(guest, kept, allowedMs);
  if (connection === null || typeof connection === "string") return -1;
  if (guest.phase === PHASE_DEAD) {
    connection.close();
    return -1;
  }
  return guest.connections.push(connection) - 1;
}

async function receive(
  guest: Guest,
  coming: Promise<Uint8Array | null>,
  pointer: number,
  capacity: number,
  allowedMs: number,
): Promise<number> {
  const bytes = await waitFor(guest, coming, allowedMs);
  if (bytes === null || guest.phase === PHASE_DEAD) return -1;
  return copyToGuest(guest, bytes, 0, bytes.length, pointer, capacity);
}

export const connectionCalls: Makers<"connect" | "connection_send" | "connection_receive" | "connection_close"> = {
  connect: (guest) => (handle, timeoutMs) => {
    if (!guest.may(PHASES_WAIT, "connect")) return -1;
    const upstream = guest.environment.upstreams[handle];
    if (upstream === undefined) return guest.fail(`connect with the unknown handle ${handle}`);
    guest.charge(CONNECT_COST);
    const { services } = guest.environment;
    const open = guest.connections.filter((connection) => connection !== null).length;
    const allowedMs = leftMs(guest);
    if (services.connect === undefined || open >= CONNECTIONS_MAX || allowedMs <= 0) return -1;
    const asked = timeoutWithin(allowedMs, timeoutMs);
    return connect(guest, services.connect(upstream, asked), allowedMs);
  },

  connection_send: (guest) => (number, pointer, length) => {
    const connection = connectionAt(guest, number, "connection_send");
    const bytes = connection === null ? null : bytesOf(guest, pointer, length, BODY_BYTES_MAX, "what is sent");
    return connection !== null && bytes !== null && connection.send(bytes) ? 1 : 0;
  },

  connection_receive: (guest) => (number, pointer, capacity, timeoutMs) => {
    const connection = connectionAt(guest, number, "connection_receive");
    if (connection === null || !inMemory(guest, pointer, capacity)) return -1;
    guest.charge(RECEIVE_COST);
    const allowedMs = leftMs(guest);
    if (allowedMs <= 0 || capacity === 0) return -1;
    const asked = timeoutWithin(allowedMs, timeoutMs);
    const bytesMax = Math.min(capacity >>> 0, BODY_BYTES_MAX);
    return receive(guest, connection.receive(bytesMax, asked), pointer, capacity, allowedMs);
  },

  connection_close: (guest) => (number) => {
    const connection = connectionAt(guest, number, "connection_close");
    if (connection !== null) guest.connections[number] = null;
    connection?.close();
    return undefined;
  },
};
