/**
 * A netlink socket of the route family: requests and their answers, or what multicast groups tell. The kernel works a
 * request off before `send` returns and queues the first part of the answer, so reading never has to wait.
 */
import type { Fd } from "#core/brands.ts";
import { EAGAIN } from "#core/errno.ts";
import { addressOf } from "./memory.ts";
import { SystemCallError } from "./libc.ts";
import { bind, close, recv, send, setsockoptInt, SO_RCVBUF, socket, SOL_SOCKET } from "./socket.ts";

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const NETLINK_ROUTE = 0;
const SOL_NETLINK = 270;
// Options: linux/netlink.h
const NETLINK_ADD_MEMBERSHIP = 1;
/** Acknowledgements don't echo the request's body. */
const NETLINK_CAP_ACK = 10;
/** Acknowledgements carry the kernel's words. */
const NETLINK_EXT_ACK = 11;
/** A request for a list is refused, instead of answered too widely, when the kernel does not understand a part of it. */
const NETLINK_GET_STRICT_CHK = 12;
/** recv answers the datagram's own length, also when it was cut. */
const MSG_TRUNC = 0x20;
/** Dumps come in datagrams of at most this (NLMSG_GOODSIZE is 8 KiB, the kernel grows it up to 32). */
const DATAGRAM_BYTES_MAX = 32 << 10;

const EMSGSIZE = 90;
/** struct sockaddr_nl: family, padding, port, groups. */
const SOCKADDR_ANY = Uint8Array.of(AF_NETLINK, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

export class NetlinkSocket {
  /** Readable when something has come; for loops. */
  readonly fd: Fd;
  readonly #buffer = Buffer.alloc(DATAGRAM_BYTES_MAX);

  /** Belongs to the network namespace that the thread is in now. `groups`: RTNLGRP_*. Throws PENSTOCK_SYS_CALL. */
  constructor(groups: readonly number[] = []) {
    this.fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    try {
      for (const option of [NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK]) {
        setsockoptInt(this.fd, SOL_NETLINK, option, 1);
      }
      // A group passes over sockets without an address; the kernel chooses it.
      bind(this.fd, SOCKADDR_ANY);
      for (const group of groups) setsockoptInt(this.fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Bytes of messages that may wait; the kernel doubles it, and bounds it by net.core.rmem_max. Throws PENSTOCK_SYS_CALL. */
  setReceiveBuffer(bytes: number): void {
    setsockoptInt(this.fd, SOL_SOCKET, SO_RCVBUF, bytes);
  }

  /** Throws SystemCallError. */
  send(request: Buffer): void {
    const sent = send(this.fd, Number(addressOf(request)), request.length);
    if (sent < 0) throw new SystemCallError("netlink send", -sent);
  }

  /** The next datagram, a copy; null when none waits. Throws SystemCallError: ENOBUFS when the kernel had to drop some. */
  receive(): Buffer | null {
    const length = recv(this.fd, Number(addressOf(this.#buffer)), this.#buffer.length, MSG_TRUNC);
    if (length === -EAGAIN) return null;
    if (length < 0) throw new SystemCallError("netlink recv", -length);
    if (length > this.#buffer.length) throw new SystemCallError("netlink recv", EMSGSIZE, `${length} bytes`);
    return Buffer.from(this.#buffer.subarray(0, length));
  }

  close(): void {
    close(this.fd);
  }
}
