/**
 * A client for steering tests, run in a cgroup of its own: connects to each destination it is told, `host port` a line
 * of standard input, several at a time (argument 1), sends each what argument 2 says, if anything, and prints what the
 * other side sent before it closed, as JSON when something was sent.
 */
import net from "node:net";
import readline from "node:readline";

const parallel = Number(process.argv[2] ?? 1);
const greeting = process.argv[3] ?? "";
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

function ask(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const socket = net.connect({ host, port, timeout: 5000 });
    if (greeting !== "") socket.write(greeting);
    socket.on("data", (bytes) => (text += bytes.toString()));
    socket.on("timeout", () => socket.destroy(new Error("timeout")));
    socket.on("error", (error: NodeJS.ErrnoException) => (text = `error ${error.code ?? error.message}`));
    socket.on("close", () => resolve(text));
  });
}

await Promise.all(Array.from({ length: parallel }, work));
const printed = greeting === "" ? replies : replies.map((reply) => JSON.stringify(reply));
process.stdout.write(`${printed.join("\n")}\n`);
