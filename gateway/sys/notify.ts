/** Datagrams to a Unix socket by its name: how a service speaks to its manager (sd_notify(3)). */
import { asFd } from "#core/brands.ts";
import { check, koffi, libc } from "./libc.ts";
import { AF_UNIX, close, SOCK_DGRAM, socket } from "./socket.ts";

const sendtoCall = libc.func(
  "int64_t sendto(int fd, void *bytes, size_t length, int flags, void *address, uint32_t addressLength)",
);

/** struct sockaddr_un: the family, then up to 108 bytes of path (unix(7)). */
const PATH_BYTES_MAX = 108;

/**
 * Sends one datagram. `path` begins with `/`, or with `@` for a name that is not in the file system. Throws SystemCallError
 * where nobody receives, and RangeError for a path that is none.
 */
export function sendDatagram(path: string, text: string): void {
  const address = unixAddress(path);
  const bytes = Buffer.from(text);
  const fd = asFd(socket(AF_UNIX, SOCK_DGRAM));
  try {
    const sent = sendtoCall(
      fd,
      koffi.as(bytes, "void *"),
      bytes.length,
      0,
      koffi.as(address, "void *"),
      address.length,
    ) as number;
    check("sendto", sent);
  } finally {
    close(fd);
  }
}

/** An abstract name begins with a zero byte, and ends where the address does. */
function unixAddress(path: string): Uint8Array {
  const name = Buffer.from(path);
  if (!/^[/@]/.test(path) || name.length > PATH_BYTES_MAX) throw new RangeError(`"${path}" is no Unix socket's name`);
  if (path.startsWith("@")) name[0] = 0;
  return Buffer.concat([Buffer.from(Uint16Array.of(AF_UNIX).buffer), name]);
}
