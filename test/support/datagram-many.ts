/**
 * A client for steering tests, run in a cgroup of its own: a datagram from a socket of its own to each destination it is
 * told, `host port` a line of standard input, several at a time (argument 1). Argument 2: `connected`, or `unconnected`.
 * Prints what came back, from where, and, connected, whom the socket takes for its peer.
 */
import dgram from "node:dgram";
import { once } from "node:events";
import readline from "node:readline";

const parallel = Number(process.argv[2] ?? 1);
const connected = process.argv[3] === "connected";
const destinations: string[] = [];
for await (const line of readline.createInterface({ input: process.stdin })) destinations.push(line);

const replies: string[] = [];
let next = 0;

async function work(): Promise<void> {
  while (next < destinations.length) {
    const index = next++;
    const [host = "", port = ""] = (destinations[index] ?? "").split(" ");
    replies[index] = await ask(host, Number(port));
  }
}

async function ask(host: string, port: number): Promise<string> {
  const socket = dgram.createSocket(host.includes(":") ? "udp6" : "udp4");
  const timer = setTimeout(() => socket.emit("error", new Error("timeout")), 5000);
  try {
    const message = once(socket, "message") as Promise<[Buffer, dgram.RemoteInfo]>;
    if (connected) {
      socket.connect(port, host);
      await once(socket, "connect");
      socket.send("hello");
    } else {
      socket.send("hello", port, host);
    }
    const [bytes, from] = await message;
    const peer = connected ? ` peer ${socket.remoteAddress().address} ${socket.remoteAddress().port}` : "";
    return `${bytes.toString()} from ${from.address} ${from.port}${peer}`;
  } catch (error) {
    return `error ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    clearTimeout(timer);
    socket.close();
  }
}

await Promise.all(Array.from({ length: parallel }, work));
process.stdout.write(`${replies.join("\n")}\n`);
