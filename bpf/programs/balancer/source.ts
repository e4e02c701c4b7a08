/** Of the host's own addresses, the one it would talk to an endpoint from: routes and rules of the kernel decide. */
import { bpfError } from "#core/errors/bpf.ts";
import { familyOf, formatIp, ipOf, parseIp, socketAddress } from "#core/address.ts";
import { close, connect, getsockname, send, SOCK_DGRAM, socket } from "#sys/socket.ts";

/** RFC 863: what comes there is thrown away. */
const DISCARD_PORT = 9;

/** Connecting a datagram socket sends nothing. Throws PENSTOCK_BPF_SERVICE: there is no route. */
export function sourceTowards(endpoint: string): string {
  const address = socketAddress(parseIp(endpoint), DISCARD_PORT);
  const fd = socket(familyOf(address), SOCK_DGRAM);
  try {
    const error = connect(fd, address);
    if (error !== 0) {
      throw bpfError("PENSTOCK_BPF_SERVICE", { detail: `no route to endpoint ${endpoint} (errno ${error})` });
    }
    return formatIp(ipOf(getsockname(fd)));
  } finally {
    close(fd);
  }
}

/**
 * Makes the kernel find out, or find out again, the hardware address on the way to an endpoint: the balancer only uses
 * what is known. An empty datagram to the discard port does that by any route; nobody needs to answer it.
 */
export function introduce(endpoint: string): void {
  const address = socketAddress(parseIp(endpoint), DISCARD_PORT);
  const fd = socket(familyOf(address), SOCK_DGRAM);
  try {
    // No route to it, or refused: then packets to it are counted as such.
    if (connect(fd, address) === 0) send(fd, 0, 0);
  } finally {
    close(fd);
  }
}
