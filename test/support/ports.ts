/** Free TCP ports on loopback: bound once and let go, so another process may take one; tests use them at once. */
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { once } from "node:events";

export async function freePort(): Promise<number> {
  const server = createServer();
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
