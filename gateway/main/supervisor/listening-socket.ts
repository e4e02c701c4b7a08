/** Binding: from an address as the snapshot writes it to a listening, non-blocking socket. */
import { existsSync, lstatSync, unlinkSync } from "node:fs";
import { formatAddress, parseAddress, portOf } from "#core/address.ts";
import type { Fd } from "#core/brands.ts";
import { mainError } from "#core/errors/main.ts";
import { receiveRoom } from "#sys/datagram.ts";
import type { ListenerSpec } from "#snapshot/snapshot.ts";
import {
  AF_INET6,
  AF_UNIX,
  bind,
  close,
  getsockname,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  listen,
  setsockoptInt,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_SOCKET,
  socket,
} from "#sys/socket.ts";

/** Shared: several sockets may listen on one address, and the kernel spreads connections over them. */
export type Sharing = "shared" | "alone";

/** Present when the kernel has IPv6 and it is not switched off. */
const IPV6 = existsSync("/proc/net/if_inet6");

/** What a listener is bound to: steered clients arrive over IPv4 and, where there is IPv6, over it too, on the same port. */
export function addressesOf(listener: Pick<ListenerSpec, "address" | "transparent">): string[] {
  if (!listener.transparent) return [listener.address];
  const port = portOf(parseAddress(listener.address));
  return IPV6 ? [`127.0.0.1:${port}`, `[::1]:${port}`] : [`127.0.0.1:${port}`];
}

/** Where a Unix socket is; null for other addresses. */
export function unixPath(address: string): string | null {
  return address.startsWith("unix:") ? address.slice("unix:".length) : null;
}

/** What the sockets are of: connections, or datagrams. */
export type Transport = "stream" | "datagram";

export function transportOf({ protocol }: Pick<ListenerSpec, "protocol">): Transport {
  return protocol === "udp" ? "datagram" : "stream";
}

/** Throws PENSTOCK_MAIN_LISTEN, with the address and the reason. */
export function listenOn(address: string, sharing: Sharing, transport: Transport = "stream"): Fd {
  try {
    return open(address, sharing, transport);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw mainError("PENSTOCK_MAIN_LISTEN", { detail: `${address}: ${reason}`, cause });
  }
}

/** Datagrams that wait for a busy worker: some thousand small ones. The kernel grants what net.core.rmem_max allows. */
const DATAGRAM_ROOM_BYTES = 1 << 20;

function open(address: string, sharing: Sharing, transport: Transport): Fd {
  const sockaddr = parseAddress(address);
  const family = sockaddr[0] ?? 0;
  const path = unixPath(address);
  if (path !== null) removeStale(path);
  const stream = transport === "stream";
  const fd = socket(family, stream ? SOCK_STREAM : SOCK_DGRAM);
  try {
    // For datagrams this option means what SO_REUSEPORT does, and would hide that an address is taken.
    if (family !== AF_UNIX && stream) setsockoptInt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (family !== AF_UNIX && sharing === "shared") setsockoptInt(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    // `[::]` takes IPv4 too, whatever net.ipv6.bindv6only says.
    if (family === AF_INET6) setsockoptInt(fd, IPPROTO_IPV6, IPV6_V6ONLY, address.startsWith("[::]:") ? 0 : 1);
    bind(fd, sockaddr);
    if (stream) listen(fd);
    else receiveRoom(fd, DATAGRAM_ROOM_BYTES);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** A socket file that a dead process left is in the way of bind; anything else at that path is not ours to remove. */
function removeStale(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true) unlinkSync(path);
}

/**
 * Is the address free? SO_REUSEPORT would let two gateways of one user share a port without a word; an exclusive bind
 * does not. Throws PENSTOCK_MAIN_LISTEN when it is taken.
 */
export function assertFree(address: string, transport: Transport): void {
  if (unixPath(address) === null) close(listenOn(address, "alone", transport));
}

/** The address as bound: with the real port where 0 was asked for. */
export function boundAddress(fd: Fd): string {
  return formatAddress(getsockname(fd));
}

/** `127.0.0.1:0` and port 8080 give `127.0.0.1:8080`. */
export function withPort(address: string, port: number): string {
  return `${address.slice(0, address.lastIndexOf(":") + 1)}${port}`;
}
