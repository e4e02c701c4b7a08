/**
 * The field lines that tell an upstream who asks. From a client whose address is not trusted, its own forwarding fields
 * are left out and replaced; a trusted proxy's list is continued.
 */
import type { Head } from "#http/head.ts";
import { X_FORWARDED_FOR, X_FORWARDED_PROTO } from "#http/names.ts";
import type { DownstreamStream } from "./downstream-stream.ts";
import type { Workspace } from "./context.ts";

const FOR = Buffer.from("x-forwarded-for: ");
const PROTO = Buffer.from("x-forwarded-proto: http\r\n");
const END_AND_PROTO = Buffer.from("\r\nx-forwarded-proto: http\r\n");

/** Writes the lines for this request into the workspace; answers where they end. */
export function forwardedLines(stream: DownstreamStream, request: Head, workspace: Workspace): number {
  const memory = request.memory;
  if (stream.trusted) return continuedLines(stream.client, request, workspace);
  let at = workspace.start;
  if (stream.client === "") {
    memory.set(PROTO, at);
    return at + PROTO.length;
  }
  memory.set(FOR, at);
  at = writeText(memory, at + FOR.length, stream.client);
  memory.set(END_AND_PROTO, at);
  return at + END_AND_PROTO.length;
}

/** `X-Forwarded-For` with the trusted peer appended; everything else it said stays as it is. */
function continuedLines(client: string, request: Head, workspace: Workspace): number {
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
  at = writeText(memory, at, `${client}\r\n`);
  request.remove(X_FORWARDED_FOR);
  if (request.find(X_FORWARDED_PROTO) >= 0) return at;
  memory.set(PROTO, at);
  return at + PROTO.length;
}

/** ASCII text, octet by octet: shorter than what a call into C++ costs. Answers where it ends. */
function writeText(memory: Uint8Array, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) memory[at++] = text.charCodeAt(i);
  return at;
}
