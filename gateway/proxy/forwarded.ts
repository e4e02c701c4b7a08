/**
 * The field lines that tell an upstream who asks. From a client whose address is not trusted, its own forwarding fields
 * are left out and replaced; a trusted proxy's list is continued.
 */
import type { Head } from "#http/head.ts";
import { X_FORWARDED_FOR, X_FORWARDED_PROTO } from "#http/names.ts";
import type { Peer } from "#net/listener.ts";
import type { DownstreamStream } from "./downstream-stream.ts";
import type { Workspace } from "./context.ts";

const FOR = Buffer.from("x-forwarded-for: ");
const PROTO = Buffer.from("x-forwarded-proto: http\r\n");

/** The lines for a client that is not trusted: made once a connection. Empty for a Unix socket. */
export function forwardedFor(peer: Peer): Uint8Array {
  return peer.ip === "" ? PROTO : Buffer.concat([FOR, Buffer.from(`${peer.ip}\r\n`), PROTO]);
}

/** Writes the lines for this request into the workspace; answers where they end. */
export function forwardedLines(stream: DownstreamStream, request: Head, workspace: Workspace): number {
  const memory = request.memory;
  if (!stream.trusted) {
    memory.set(stream.forwarded, workspace.start);
    return workspace.start + stream.forwarded.length;
  }
  return continuedLines(stream.peer, request, workspace);
}

/** `X-Forwarded-For` with the trusted peer appended; everything else it said stays as it is. */
function continuedLines(peer: Peer, request: Head, workspace: Workspace): number {
  const memory = request.memory;
  let at = workspace.start;
  memory.set(FOR, at);
  at += FOR.length;
  for (let i = request.find(X_FORWARDED_FOR); i >= 0; i = request.find(X_FORWARDED_FOR, i + 1)) {
    const bytes = request.valueEnd(i) - request.valueStart(i);
    if (at + bytes + 64 > workspace.end) break;
    memory.copyWithin(at, request.valueStart(i), request.valueEnd(i));
    at += bytes;
    memory[at++] = 0x2c;
    memory[at++] = 0x20;
  }
  const own = Buffer.from(`${peer.ip}\r\n`);
  memory.set(own, at);
  at += own.length;
  request.remove(X_FORWARDED_FOR);
  if (request.find(X_FORWARDED_PROTO) >= 0) return at;
  memory.set(PROTO, at);
  return at + PROTO.length;
}
