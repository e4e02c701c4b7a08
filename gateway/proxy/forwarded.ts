/**
 * The field lines that tell an upstream who asks. From a client whose address is not trusted, its own forwarding fields
 * are left out and replaced; a trusted proxy's list is continued. What a filter wrote stands as the filter wrote it.
 */
import type { RequestEncodeOptions } from "#http/h1/encode.ts";
import type { Head } from "#http/head.ts";
import { FORWARDED, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO } from "#http/names.ts";
import type { Workspace } from "./context.ts";
import type { DownstreamStream } from "./downstream-stream.ts";
import type { Forwarding } from "./forwarding.ts";

const FOR = Buffer.from("x-forwarded-for: ");
const PROTO = Buffer.from("x-forwarded-proto: http\r\n");
const END_AND_PROTO = Buffer.from("\r\nx-forwarded-proto: http\r\n");
const PROTO_TLS = Buffer.from("x-forwarded-proto: https\r\n");
const END_AND_PROTO_TLS = Buffer.from("\r\nx-forwarded-proto: https\r\n");

/**
 * Writes the lines for this request into the workspace, and tells `encode` of them and of what they replace. `host`: what the
 * client wrote in Host, where it is told.
 */
export function forwardedLines(
  stream: DownstreamStream,
  host: string,
  request: Head,
  workspace: Workspace,
  forwarding: Forwarding,
  encode: RequestEncodeOptions,
): void {
  encode.dropForwarded = !stream.trusted;
  encode.dropForwardedFor = false;
  encode.appendStart = workspace.start;
  const plain = forwarding.isPlain && !stream.trusted && !request.mayBeEdited;
  if (plain) encode.appendEnd = allLines(stream, request.memory, workspace.start);
  else encode.appendEnd = someLines(stream, host, request, workspace, forwarding, encode);
}

function allLines({ client, tls }: DownstreamStream, memory: Uint8Array, at: number): number {
  if (client === "") return writePiece(memory, at, tls === null ? PROTO : PROTO_TLS);
  memory.set(FOR, at);
  at = writeText(memory, at + FOR.length, client);
  return writePiece(memory, at, tls === null ? END_AND_PROTO : END_AND_PROTO_TLS);
}

/** Those that are wanted, and that neither a filter nor a trusted peer has said. */
function someLines(
  stream: DownstreamStream,
  host: string,
  request: Head,
  workspace: Workspace,
  forwarding: Forwarding,
  encode: RequestEncodeOptions,
): number {
  const { memory } = request;
  const said = (name: number): boolean => (stream.trusted ? request.find(name) >= 0 : isOfFilter(request, name));
  let at = workspace.start;
  if (forwarding.xFor && stream.client !== "" && !isOfFilter(request, X_FORWARDED_FOR)) {
    memory.set(FOR, at);
    at += FOR.length;
    if (stream.trusted && request.find(X_FORWARDED_FOR) >= 0) {
      at = writeReceivedList(request, at, workspace.end);
      encode.dropForwardedFor = true;
    }
    at = writeText(memory, at, stream.client);
    at = writeText(memory, at, "\r\n");
  }
  if (forwarding.xProto && !said(X_FORWARDED_PROTO))
    at = writePiece(memory, at, stream.tls === null ? PROTO : PROTO_TLS);
  if (forwarding.xHost && host !== "" && !said(X_FORWARDED_HOST)) {
    at = writeText(memory, at, `x-forwarded-host: ${host}\r\n`);
  }
  // A list may stand in several lines: a trusted peer's goes on as it came, and this one follows.
  if (forwarding.forwarded && !isOfFilter(request, FORWARDED))
    at = writeText(memory, at, forwardedElement(stream, host));
  if (forwarding.via.length === 0) return at;
  at = writeText(memory, at, `via: 1.${request.minor} `);
  return writeText(memory, writePiece(memory, at, forwarding.via), "\r\n");
}

/** RFC 7239 §4: an address of IPv6 is quoted, in brackets. */
function forwardedElement({ client, tls }: DownstreamStream, host: string): string {
  const node = client === "" ? "unknown" : client.includes(":") ? `"[${client}]"` : client;
  const named = host === "" ? "" : `;host="${host}"`;
  return `forwarded: for=${node};proto=${tls === null ? "http" : "https"}${named}\r\n`;
}

/** `add` leaves the received lines in front of its own: any edited line makes the name the filter's. */
function isOfFilter(request: Head, name: number): boolean {
  if (!request.mayBeEdited) return false;
  for (let i = request.find(name); i >= 0; i = request.find(name, i + 1)) if (request.isEdited(i)) return true;
  return false;
}

/** A head has at most one buffer's bytes, and so has the workspace: what does not fit are the last hops of a list nobody needs. */
function writeReceivedList(request: Head, at: number, limit: number): number {
  const { memory } = request;
  for (let i = request.find(X_FORWARDED_FOR); i >= 0; i = request.find(X_FORWARDED_FOR, i + 1)) {
    const bytes = request.valueEnd(i) - request.valueStart(i);
    if (at + bytes + LINES_BYTES_MAX > limit) break;
    memory.copyWithin(at, request.valueStart(i), request.valueEnd(i));
    at = writeText(memory, at + bytes, ", ");
  }
  return at;
}

/** Room behind the list: an address of 45 characters, scheme, two lines with a host of 260, and Via. */
const LINES_BYTES_MAX = 1024;

function writePiece(memory: Uint8Array, at: number, piece: Uint8Array): number {
  memory.set(piece, at);
  return at + piece.length;
}

/** ASCII text, octet by octet: shorter than what a call into C++ costs. Answers where it ends. */
function writeText(memory: Uint8Array, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) memory[at++] = text.charCodeAt(i);
  return at;
}
