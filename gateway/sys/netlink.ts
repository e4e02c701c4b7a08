/**
 * A netlink socket of the route family, for requests and their answers. The kernel works a request off before `send`
 * returns and queues the first part of the answer, so reading never has to wait.
 */
import type { Fd } from "#core/brands.ts";
import { addressOf } from "./memory.ts";
import { SystemCallError } from "./libc.ts";
import { close, recv, send, setsockoptInt, socket } from "./socket.ts";

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const NETLINK_ROUTE = 0;
const SOL_NETLINK = 270;
/** Acknowledgements don't echo the request's body. linux/netlink.h */
const NETLINK_CAP_ACK = 10;
/** Acknowledgements carry the kernel's words. */
const NETLINK_EXT_ACK = 11;
/** Dumps come in datagrams of at most this (NLMSG_GOODSIZE is 8 KiB, the kernel grows it up to 32). */
const DATAGRAM_BYTES_MAX = 32 << 10;

export class NetlinkSocket {
  readonly #fd: Fd;
  readonly #buffer = Buffer.alloc(DATAGRAM_BYTES_MAX);

  /** Belongs to the network namespace that the thread is in now. Throws PENSTOCK_SYS_CALL. */
  constructor() {
    this.#fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    setsockoptInt(this.#fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
    setsockoptInt(this.#fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
  }

  /** Throws SystemCallError. */
  send(request: Buffer): void {
    const sent = send(this.#fd, Number(addressOf(request)), request.length);
    if (sent < 0) throw new SystemCallError("netlink send", -sent);
  }

  /** The next datagram, a copy. Throws SystemCallError. */
  receive(): Buffer {
    const length = recv(this.#fd, Number(addressOf(this.#buffer)), this.#buffer.length);
    if (length < 0) throw new SystemCallError("netlink recv", -length);
    return Buffer.from(this.#buffer.subarray(0, length));
  }

  close(): void {
    close(this.#fd);
  }
}
