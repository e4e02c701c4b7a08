import { afterEach, describe, expect, test } from "vitest";
import { formatAddress, parseAddress } from "#core/address.ts";
import type { Fd } from "#core/brands.ts";
import { EAGAIN, ECONNREFUSED, ECONNRESET, EINPROGRESS, ENOTCONN, EPIPE } from "#core/errno.ts";
import { addressOf } from "#sys/memory.ts";
import {
  accept4,
  AF_INET,
  AF_INET6,
  bind,
  close,
  connect,
  getpeername,
  getsockname,
  getsockoptInt,
  IPPROTO_IPV6,
  IPPROTO_TCP,
  IPV6_V6ONLY,
  listen,
  openStream,
  originalDestination,
  recv,
  resetOnClose,
  send,
  setsockoptInt,
  shutdown,
  SHUT_WR,
  SO_DOMAIN,
  SO_REUSEPORT,
  socket,
  socketError,
  socketpair,
  SOL_SOCKET,
  TCP_NODELAY,
  TCP_USER_TIMEOUT,
} from "#sys/socket.ts";

const open = new Set<Fd>();
afterEach(() => {
  for (const fd of open) close(fd);
  open.clear();
});
function kept(fd: number): Fd {
  expect(fd).toBeGreaterThanOrEqual(0);
  open.add(fd as Fd);
  return fd as Fd;
}

/** A listener on an ephemeral port of the loopback, and its address. */
function listener(family: number): { fd: Fd; address: Uint8Array } {
  const fd = kept(socket(family));
  bind(fd, parseAddress(family === AF_INET ? "127.0.0.1:0" : "[::1]:0"));
  listen(fd);
  return { fd, address: getsockname(fd) };
}

const bytes = Buffer.alloc(64);
const at = Number(addressOf(bytes));

describe.each([
  ["IPv4", AF_INET],
  ["IPv6", AF_INET6],
])("TCP over %s", (_, family) => {
  test("accepts, names both ends, carries bytes and the end", () => {
    const { fd, address } = listener(family);
    expect(accept4(fd)).toBe(-EAGAIN);
    const client = kept(openStream(family));
    expect([0, EINPROGRESS]).toContain(connect(client, address));
    const server = kept(accept4(fd));
    expect(getpeername(server)).toEqual(getsockname(client));
    expect(formatAddress(getsockname(server))).toBe(formatAddress(address));
    expect(originalDestination(server, family)).toBeNull();
    expect(recv(server, at, 64)).toBe(-EAGAIN);
    bytes.write("penstock");
    expect(send(client, at, 8)).toBe(8);
    expect(recv(server, at + 32, 32)).toBe(8);
    expect(bytes.toString("latin1", 32, 40)).toBe("penstock");
    expect(shutdown(client, SHUT_WR)).toBe(0);
    expect(recv(server, at, 64)).toBe(0);
  });

  test("a reset ends receiving, sending and the peer's name, without a throw or a signal", () => {
    const { fd, address } = listener(family);
    const client = kept(openStream(family));
    connect(client, address);
    const server = kept(accept4(fd));
    resetOnClose(client);
    close(client);
    open.delete(client);
    expect(recv(server, at, 64)).toBe(-ECONNRESET);
    expect(send(server, at, 8)).toBe(-EPIPE);
    expect(getpeername(server)).toBeNull();
    expect(shutdown(server, SHUT_WR)).toBe(ENOTCONN);
  });
});

test("a refused connect is told by SO_ERROR, once", () => {
  const bound = kept(socket(AF_INET));
  bind(bound, parseAddress("127.0.0.1:0"));
  const client = kept(openStream(AF_INET));
  // The loopback answers within the call; another path would later.
  const error = connect(client, getsockname(bound));
  expect([EINPROGRESS, ECONNREFUSED]).toContain(error);
  if (error === EINPROGRESS) expect(socketError(client)).toBe(ECONNREFUSED);
  expect(socketError(client)).toBe(0);
});

test("options are written and read", () => {
  const fd = kept(openStream(AF_INET6));
  expect(getsockoptInt(fd, IPPROTO_TCP, TCP_NODELAY)).not.toBe(0);
  expect(getsockoptInt(fd, SOL_SOCKET, SO_DOMAIN)).toBe(AF_INET6);
  for (const [level, option, value] of [
    [SOL_SOCKET, SO_REUSEPORT, 1],
    [IPPROTO_IPV6, IPV6_V6ONLY, 1],
    [IPPROTO_TCP, TCP_USER_TIMEOUT, 4000],
  ] as const) {
    setsockoptInt(fd, level, option, value);
    expect(getsockoptInt(fd, level, option)).toBe(value);
  }
});

test("Unix sockets by abstract name, without a name, and as a pair", () => {
  const fd = kept(socket(1));
  const name = `unix:@penstock-test-${process.pid}`;
  bind(fd, parseAddress(name));
  listen(fd);
  expect(formatAddress(getsockname(fd))).toBe(name);
  const client = kept(openStream(1));
  expect(connect(client, parseAddress(name))).toBe(0);
  const server = kept(accept4(fd));
  expect(formatAddress(getpeername(server) ?? Uint8Array.of())).toBe("unix:");
  const [one, other] = socketpair();
  kept(one);
  kept(other);
  expect(send(one, at, 5)).toBe(5);
  expect(recv(other, at, 64)).toBe(5);
});

test("failures of set-up name the call and the errno", () => {
  const { fd, address } = listener(AF_INET);
  const second = kept(socket(AF_INET));
  expect(() => bind(second, address)).toThrow("bind: EADDRINUSE");
  expect(() => socket(99)).toThrow("socket: EAFNOSUPPORT");
  expect(openStream(99)).toBeLessThan(0);
  close(fd);
  open.delete(fd);
  expect(() => close(fd)).toThrow("close: EBADF");
  expect(() => getpeername(fd)).toThrow("getpeername: EBADF");
});
