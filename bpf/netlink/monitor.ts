/**
 * Follows the changes of a network namespace, as `ip monitor` does. Never blocks: `fd` is readable when something has
 * come, so `driver.watch(monitor.fd, () => monitor.read(visit))`.
 *
 * The kernel drops what there is no room for, and says that it did: `overrun`. Whoever keeps a picture must then list
 * anew. So must whoever begins: first follow, then list, and take what both tell as one.
 */
import type { Fd } from "#core/brands.ts";
import { ENOBUFS } from "#core/errno.ts";
import { SystemCallError } from "#sys/libc.ts";
import { NetlinkSocket } from "#sys/netlink.ts";
import { decodeAddress, type LinkAddress } from "./addresses.ts";
import { decodeLink, type NetworkLink } from "./links.ts";
import { messages, type Message } from "./message.ts";
import { decodeNeighbour, type Neighbour } from "./neighbours.ts";
import { decodeRoute, type Route } from "./routes.ts";
import { GROUPS, RTM } from "./types.ts";

export type NetworkEvent =
  | { readonly kind: "link"; readonly gone: boolean; readonly link: NetworkLink }
  | { readonly kind: "address"; readonly gone: boolean; readonly address: LinkAddress }
  | { readonly kind: "route"; readonly gone: boolean; readonly route: Route }
  | { readonly kind: "neighbour"; readonly gone: boolean; readonly neighbour: Neighbour }
  | { readonly kind: "overrun" };

export interface MonitorOptions {
  /** Bytes of events that may wait; the kernel doubles it, and bounds it by net.core.rmem_max. */
  readonly bufferBytes?: number;
}

export class NetworkMonitor {
  readonly #socket: NetlinkSocket;

  /** Belongs to the network namespace that the thread is in now. Throws PENSTOCK_SYS_CALL. */
  constructor(kinds: readonly (keyof typeof GROUPS)[], { bufferBytes }: MonitorOptions = {}) {
    this.#socket = new NetlinkSocket(kinds.flatMap((kind) => [...GROUPS[kind]]));
    if (bufferBytes !== undefined) this.#socket.setReceiveBuffer(bufferBytes);
  }

  get fd(): Fd {
    return this.#socket.fd;
  }

  /** Visits all that have come, in order. Throws SystemCallError. */
  read(visit: (event: NetworkEvent) => void): void {
    for (;;) {
      const datagram = this.#receive();
      if (datagram === null) return;
      if (datagram === "overrun") {
        visit({ kind: "overrun" });
        continue;
      }
      for (const each of messages(datagram)) {
        const event = decodeEvent(each);
        if (event !== null) visit(event);
      }
    }
  }

  close(): void {
    this.#socket.close();
  }

  #receive(): Buffer | "overrun" | null {
    try {
      return this.#socket.receive();
    } catch (error) {
      if (error instanceof SystemCallError && error.errno === ENOBUFS) return "overrun";
      throw error;
    }
  }
}

/** Null for what is not followed, and for families other than IP. */
export function decodeEvent(message: Message): NetworkEvent | null {
  switch (message.type) {
    case RTM.NEWLINK:
    case RTM.DELLINK:
      // The kernel tells of bridges' ports in the same way, with a family: those are no links that come or go.
      if (message.body[0] !== 0) return null;
      return { kind: "link", gone: message.type === RTM.DELLINK, link: decodeLink(message) };
    case RTM.NEWADDR:
    case RTM.DELADDR: {
      const address = decodeAddress(message);
      return address === null ? null : { kind: "address", gone: message.type === RTM.DELADDR, address };
    }
    case RTM.NEWROUTE:
    case RTM.DELROUTE: {
      const route = decodeRoute(message);
      return route === null ? null : { kind: "route", gone: message.type === RTM.DELROUTE, route };
    }
    case RTM.NEWNEIGH:
    case RTM.DELNEIGH: {
      const neighbour = decodeNeighbour(message);
      return neighbour === null ? null : { kind: "neighbour", gone: message.type === RTM.DELNEIGH, neighbour };
    }
    default:
      return null;
  }
}
