/** Requests over connections of their own, their answers, and upstreams that give such answers. */
import type net from "node:net";
import { talk } from "./raw-http.ts";

export const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

export const ok = (body: string): string => `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
export const empty = (status: number): string => `HTTP/1.1 ${status} Odd\r\ncontent-length: 0\r\n\r\n`;

/** Answers each bodyless request with its own letter. */
export function named(body: string): (socket: net.Socket) => void {
  return (socket) => socket.write(ok(body));
}

/** Status and body of one request over a connection of its own. */
export async function ask(port: number, request = GET): Promise<{ status: number; body: string; head: string }> {
  const all = await talk(port, request, (received) => {
    const end = received.indexOf("\r\n\r\n");
    const length = /content-length: (\d+)/i.exec(received)?.[1];
    return end >= 0 && length !== undefined && received.length >= end + 4 + Number(length);
  });
  const end = all.indexOf("\r\n\r\n");
  return { status: Number(all.slice(9, 12)), body: all.slice(end + 4), head: all.slice(0, end) };
}
