/**
 * Sends datagrams as fast as a veth device can take them, from a process of its own: `flood.ts COUNT LOCAL PEER [LOCAL
 * PEER …]`, addresses as `10.0.0.1:0`. Each turn sends one from every pair.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { familyOf, parseAddress } from "#core/address.ts";
import { addressOf } from "#sys/memory.ts";
import { bind, connect, send, SOCK_DGRAM, socket } from "#sys/socket.ts";

/** Then a pause: the ring of a veth device holds 256 packets, and is emptied by a task that has to get its turn. */
const BURST = 25;

const [count = "0", ...addresses] = process.argv.slice(2);
const packet = Buffer.from("packet");
const sockets = [];
for (let i = 0; i + 1 < addresses.length; i += 2) {
  const local = parseAddress(addresses[i] as string);
  const fd = socket(familyOf(local), SOCK_DGRAM);
  bind(fd, local);
  connect(fd, parseAddress(addresses[i + 1] as string));
  sockets.push(fd);
}
for (let i = 0; i < Number(count); i++) {
  for (const fd of sockets) send(fd, Number(addressOf(packet)), packet.length);
  if (i % BURST === BURST - 1) await sleep(1);
}
