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

/** Writes the lines for this request into the workspace; answers where they end. `again`: not for the first time. */
export function forwardedLines(stream: DownstreamStream, request: Head, workspace: Workspace, again: boolean): number {
  const memory = request.memory;
  if (stream.trusted) return continuedLines(stream.client, request, workspace, again);
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

/**
 * `X-Forwarded-For` with the trusted peer appended; everything else it said stays as it is. The longer list becomes the
 * head's own, so that a second try finds it whole.
 */
function continuedLines(client: string, request: Head, workspace: Workspace, again: boolean): number {
  const memory = request.memory;
  let at = workspace.start;
  if (request.find(X_FORWARDED_FOR) >= 0) {
    if (!again) continueList(client, request, workspace);
  } else if (client !== "") {
    memory.set(FOR, at);
    at = writeText(memory, at + FOR.length, `${client}\r\n`);
  }
  if (request.find(X_FORWARDED_PROTO) >= 0) return at;
  memory.set(PROTO, at);
  return at + PROTO.length;
}

/** Without memory for the longer list, the list stays as it came: one hop is missing at its end. */
function continueList(client: string, request: Head, workspace: Workspace): void {
  if (client === "") return;
  const memory = request.memory;
  let at = workspace.start;
  for (let i = request.find(X_FORWARDED_FOR); i >= 0; i = request.find(X_FORWARDED_FOR, i + 1)) {
    const bytes = request.valueEnd(i) - request.valueStart(i);
    if (at + bytes + 64 > workspace.end) break;
    memory.copyWithin(at, request.valueStart(i), request.valueEnd(i));
    at += bytes;
    memory[at++] = 0x2c;
    memory[at++] = 0x20;
  }
  request.set(X_FORWARDED_FOR, memory, workspace.start, writeText(memory, at, client));
}

/** ASCII text, octet by octet: shorter than what a call into C++ costs. Answers where it ends. */
function writeText(memory: Uint8Array, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) memory[at++] = text.charCodeAt(i);
  return at;
}
