/**
 * An endpoint of a balanced service, as a process of its own: `l4-echo.ts LABEL PORT ADDRESS...`. TCP: says its label in a
 * line, then gives back what it gets. UDP: gives back its label and what it got.
 */
import dgram from "node:dgram";
import { once } from "node:events";
import net from "node:net";

const [label = "", port = "0", ...addresses] = process.argv.slice(2);
for (const address of addresses) {
  const server = net.createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.write(`${label}\n`);
    socket.pipe(socket);
  });
  server.listen(Number(port), address);
  await once(server, "listening");
  const datagrams = dgram.createSocket(address.includes(":") ? "udp6" : "udp4");
  datagrams.on("message", (message, { address: host, port: from }) => {
    datagrams.send(`${label} ${message.toString("latin1")}`, from, host);
  });
  datagrams.bind(Number(port), address);
  await once(datagrams, "listening");
}
process.stdout.write("ready\n");
