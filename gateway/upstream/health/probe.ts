/**
 * One try to find out how an endpoint is. Who makes it is told once, and never within `start` but for want of memory: an
 * empty text when all is well, else what is wrong. Nothing is told after `cancel`.
 */
import { TLS_FAILED, TLS_UNTRUSTED } from "#net/tls/client-tls.ts";

export interface Probe {
  start(): void;
  cancel(): void;
}

/** Why there is no connection, for people: an errno, or what TLS says in its place. */
export function connectFault(error: number): string {
  if (error === TLS_UNTRUSTED) return "connect: its certificate is not trusted";
  return error === TLS_FAILED ? "connect: the TLS handshake failed" : `connect: errno ${error}`;
}
