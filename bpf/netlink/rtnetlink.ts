/**
 * What `ip` does, as calls: links, addresses, routes and neighbours of one network namespace, listed and changed. The
 * namespace is the one that the thread is in when this is made; the socket stays there. To follow changes: monitor.ts.
 *
 * Every call throws PENSTOCK_BPF_NETLINK when the kernel refuses, PENSTOCK_ADDRESS_* for addresses that are none.
 */
import { SystemCallError } from "#sys/libc.ts";
import {
  addressHeader,
  decodeAddress,
  encodeAddress,
  type AddressKey,
  type LinkAddress,
  type NewAddress,
} from "./addresses.ts";
import {
  decodeFilter,
  encodeClsact,
  encodeFilter,
  encodeFilterKey,
  filterHeader,
  isClsact,
  qdiscHeader,
  type BpfFilter,
  type Direction,
  type FilterKey,
  type NewFilter,
} from "./filters.ts";
import {
  decodeLink,
  encodeLink,
  encodeNewLink,
  encodeXdp,
  linkHeader,
  linkName,
  type LinkChange,
  type NetworkLink,
  type NewLink,
  type XdpSetting,
} from "./links.ts";
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, type Message } from "./message.ts";
import {
  decodeNeighbour,
  encodeNeighbour,
  encodeNeighbourKey,
  neighbourHeader,
  type Neighbour,
  type NeighbourKey,
  type NewNeighbour,
} from "./neighbours.ts";
import { RouteSocket } from "./route-socket.ts";
import { decodeRoute, encodeRoute, encodeRouteKey, routeHeader, type NewRoute, type Route } from "./routes.ts";
import { RTM } from "./types.ts";

/** linux/errno.h: how a link that is not there is told. */
const ENODEV = 19;
const ADD = NLM_F_CREATE | NLM_F_EXCL;
const REPLACE = NLM_F_CREATE | NLM_F_REPLACE;

export class Rtnetlink {
  readonly #socket = new RouteSocket();

  links(): NetworkLink[] {
    return this.#socket.list("list links", RTM.GETLINK, [linkHeader(0)]).map(decodeLink);
  }

  /** By name or index; null when there is none. */
  link(which: string | number): NetworkLink | null {
    const parts = typeof which === "number" ? [linkHeader(which)] : [linkHeader(0), linkName(which)];
    try {
      return decodeLink(this.#socket.get(`link ${which}`, RTM.GETLINK, parts));
    } catch (error) {
      if (error instanceof Error && error.cause instanceof SystemCallError && error.cause.errno === ENODEV) return null;
      throw error;
    }
  }

  addLink(link: NewLink): void {
    this.#socket.change(`add link ${link.name}`, RTM.NEWLINK, ADD, encodeNewLink(link));
  }

  setLink(index: number, change: LinkChange): void {
    this.#socket.change(`change link ${index}`, RTM.SETLINK, 0, encodeLink(index, change));
  }

  deleteLink(index: number): void {
    this.#socket.change(`delete link ${index}`, RTM.DELLINK, 0, [linkHeader(index)]);
  }

  /** Attaches or detaches a program without a BPF link (IFLA_XDP): it stays until it is taken off. */
  setXdp(index: number, setting: XdpSetting): void {
    this.#socket.change(`XDP on link ${index}`, RTM.SETLINK, 0, encodeXdp(index, setting));
  }

  /** `index`: of one link only. */
  addresses(index = 0): LinkAddress[] {
    return this.#list("list addresses", RTM.GETADDR, addressHeader(index), decodeAddress);
  }

  addAddress(address: NewAddress): void {
    this.#socket.change(`add address ${show(address)}`, RTM.NEWADDR, ADD, encodeAddress(address));
  }

  /** The same address with other lifetimes or flags; added when it is not there. */
  replaceAddress(address: NewAddress): void {
    this.#socket.change(`replace address ${show(address)}`, RTM.NEWADDR, REPLACE, encodeAddress(address));
  }

  deleteAddress(address: AddressKey): void {
    this.#socket.change(`delete address ${show(address)}`, RTM.DELADDR, 0, encodeAddress(address));
  }

  /** Of all tables, the `local` one included. */
  routes(): Route[] {
    return this.#list("list routes", RTM.GETROUTE, routeHeader(), decodeRoute);
  }

  addRoute(route: NewRoute): void {
    this.#socket.change(`add route ${route.destination}`, RTM.NEWROUTE, ADD, encodeRoute(route));
  }

  /** The route of that destination, table and metric; added when it is not there. No packet meets neither. */
  replaceRoute(route: NewRoute): void {
    this.#socket.change(`replace route ${route.destination}`, RTM.NEWROUTE, REPLACE, encodeRoute(route));
  }

  /** The first that fits: what is left out may be anything. */
  deleteRoute(route: NewRoute): void {
    this.#socket.change(`delete route ${route.destination}`, RTM.DELROUTE, 0, encodeRouteKey(route));
  }

  neighbours(): Neighbour[] {
    return this.#list("list neighbours", RTM.GETNEIGH, neighbourHeader(0), decodeNeighbour);
  }

  addNeighbour(neighbour: NewNeighbour): void {
    this.#socket.change(`add neighbour ${neighbour.address}`, RTM.NEWNEIGH, ADD, encodeNeighbour(neighbour));
  }

  replaceNeighbour(neighbour: NewNeighbour): void {
    this.#socket.change(`replace neighbour ${neighbour.address}`, RTM.NEWNEIGH, REPLACE, encodeNeighbour(neighbour));
  }

  deleteNeighbour(neighbour: NeighbourKey): void {
    this.#socket.change(`delete neighbour ${neighbour.address}`, RTM.DELNEIGH, 0, encodeNeighbourKey(neighbour));
  }

  hasClsact(index: number): boolean {
    const all = this.#socket.list("list queueing disciplines", RTM.GETQDISC, [qdiscHeader(index)]);
    return all.some((each) => isClsact(each, index));
  }

  /** The hook that filters stand behind; throws when it is there already. */
  addClsact(index: number): void {
    this.#socket.change(`add clsact on link ${index}`, RTM.NEWQDISC, ADD, encodeClsact(index));
  }

  /** With all filters behind it, whosever they are. */
  deleteClsact(index: number): void {
    this.#socket.change(`delete clsact on link ${index}`, RTM.DELQDISC, 0, encodeClsact(index));
  }

  /** BPF filters of a device, in the order in which packets meet them. */
  filters(index: number, direction: Direction): BpfFilter[] {
    return this.#list("list filters", RTM.GETTFILTER, filterHeader(index, direction), (each) =>
      decodeFilter(each, direction),
    );
  }

  addFilter(filter: NewFilter): void {
    this.#socket.change(`add filter ${filter.name}`, RTM.NEWTFILTER, ADD, encodeFilter(filter));
  }

  /** The filter of that priority and handle; added when it is not there. No packet meets neither. */
  replaceFilter(filter: NewFilter): void {
    this.#socket.change(`replace filter ${filter.name}`, RTM.NEWTFILTER, NLM_F_CREATE, encodeFilter(filter));
  }

  deleteFilter(key: FilterKey): void {
    this.#socket.change(`delete filter of priority ${key.priority}`, RTM.DELTFILTER, 0, encodeFilterKey(key));
  }

  close(): void {
    this.#socket.close();
  }

  #list<T>(what: string, type: number, header: Buffer, decode: (message: Message) => T | null): T[] {
    return this.#socket
      .list(what, type, [header])
      .map(decode)
      .filter((each) => each !== null);
  }
}

function show({ address, prefixBits }: AddressKey): string {
  return `${address}/${prefixBits}`;
}
