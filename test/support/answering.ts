/** A server in a namespace that answers each connection with what it knows of it: `proxy 10.75.1.1:80`, and closes. */
import { once } from "node:events";
import net from "node:net";
import { familyOf, parseAddress } from "#core/address.ts";
import type { Fd } from "#core/brands.ts";
import { inNetworkNamespace } from "#sys/netns.ts";
import {
  bind,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  listen,
  setsockoptInt,
  SO_REUSEADDR,
  socket,
  SOL_SOCKET,
} from "#sys/socket.ts";
import type { Namespace } from "./netns.ts";

export class Answering {
  /** The server's own: lent. */
  readonly fd: Fd;
  readonly #server: net.Server;

  private constructor(fd: Fd, server: net.Server) {
    this.fd = fd;
    this.#server = server;
  }

  static async at(namespace: Namespace, address: string, label: string): Promise<Answering> {
    const sockaddr = parseAddress(address);
    const fd = inNetworkNamespace(namespace.path, () => socket(familyOf(sockaddr)));
    if (address.startsWith("[")) setsockoptInt(fd, IPPROTO_IPV6, IPV6_V6ONLY, address.startsWith("[::]") ? 0 : 1);
    // Connections that were given away, in TIME_WAIT, have the address and port that the service has.
    setsockoptInt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    bind(fd, sockaddr);
    listen(fd);
    const server = net.createServer((connection) => {
      const { localAddress = "", localPort = 0 } = connection;
      const plain = localAddress.replace(/^::ffff:/, "");
      const ip = plain.includes(":") ? `[${plain}]` : plain;
      connection.on("error", () => undefined).end(`${label} ${ip}:${localPort}`);
    });
    server.listen({ fd });
    await once(server, "listening");
    return new Answering(fd, server);
  }

  close(): void {
    this.#server.close();
  }
}
