/**
 * UDP in a namespace, answered by whoever has the datagram, at the address it came from: `echo …`. Through Node's own
 * sockets, which know nothing of the address that a datagram was sent to.
 */
import dgram from "node:dgram";
import { familyOf, parseAddress } from "#core/address.ts";
import type { Fd } from "#core/brands.ts";
import { inNetworkNamespace } from "#sys/netns.ts";
import { AF_INET6, bind, IPPROTO_IPV6, IPV6_V6ONLY, setsockoptInt, SOCK_DGRAM, socket } from "#sys/socket.ts";
import type { Namespace } from "./netns.ts";

export class Echo {
  readonly fd: Fd;
  readonly #socket: dgram.Socket;

  constructor(namespace: Namespace, address: string) {
    const sockaddr = parseAddress(address);
    this.fd = inNetworkNamespace(namespace.path, () => socket(familyOf(sockaddr), SOCK_DGRAM));
    if (familyOf(sockaddr) === AF_INET6) setsockoptInt(this.fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    bind(this.fd, sockaddr);
    this.#socket = dgram.createSocket(familyOf(sockaddr) === AF_INET6 ? "udp6" : "udp4");
    this.#socket.on("message", (message, { address: host, port }) => {
      this.#socket.send(`echo ${message.toString("latin1")}`, port, host);
    });
    this.#socket.bind({ fd: this.fd });
  }

  close(): void {
    this.#socket.close();
  }
}
