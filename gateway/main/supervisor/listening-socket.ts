/** Binding: from an address as the snapshot writes it to a listening, non-blocking socket. */
import { existsSync, lstatSync, unlinkSync } from "node:fs";
import { formatAddress, parseAddress, portOf } from "#core/address.ts";
import type { Fd } from "#core/brands.ts";
import { mainError } from "#core/errors/main.ts";
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

/** Throws PENSTOCK_MAIN_LISTEN, with the address and the reason. */
export function listenOn(address: string, sharing: Sharing): Fd {
  try {
    return open(address, sharing);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw mainError("PENSTOCK_MAIN_LISTEN", { detail: `${address}: ${reason}`, cause });
  }
}

function open(address: string, sharing: Sharing): Fd {
  const sockaddr = parseAddress(address);
  const family = sockaddr[0] ?? 0;
  const path = unixPath(address);
  if (path !== null) removeStale(path);
  const fd = socket(family);
  try {
    if (family !== AF_UNIX) setsockoptInt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (family !== AF_UNIX && sharing === "shared") setsockoptInt(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    // `[::]` takes IPv4 too, whatever net.ipv6.bindv6only says.
    if (family === AF_INET6) setsockoptInt(fd, IPPROTO_IPV6, IPV6_V6ONLY, address.startsWith("[::]:") ? 0 : 1);
    bind(fd, sockaddr);
    listen(fd);
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
export function assertFree(address: string): void {
  if (unixPath(address) === null) close(listenOn(address, "alone"));
}

/** The address as bound: with the real port where 0 was asked for. */
export function boundAddress(fd: Fd): string {
  return formatAddress(getsockname(fd));
}

/** `127.0.0.1:0` and port 8080 give `127.0.0.1:8080`. */
export function withPort(address: string, port: number): string {
  return `${address.slice(0, address.lastIndexOf(":") + 1)}${port}`;
}
