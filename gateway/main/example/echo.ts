/**
 * The example's upstream: answers every request with what it was asked, head and body. A confined child with the listening
 * socket it was given; not part of the gateway, so node:http does.
 */
import { createServer } from "node:http";

const LISTENING_FD = 4;

const server = createServer((request, response) => {
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`];
  for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) {
    lines.push(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}`);
  }
  response.writeHead(200, { "content-type": "text/plain; charset=utf-8" });
  response.write(`${lines.join("\n")}\n\n`);
  request.pipe(response);
  request.once("error", () => response.destroy());
});

server.listen({ fd: LISTENING_FD });
process.on("disconnect", () => process.exit(0));
process.on("message", () => process.exit(0));
process.on("SIGINT", () => {});
