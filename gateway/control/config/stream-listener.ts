/** The parts of a listener's specification that only some listeners have, with the defaults of its protocol. */
import type { ListenerSpec } from "#snapshot/snapshot.ts";
import type { ListenerResource } from "./declaration.ts";

/** Connections of people and databases are quiet for minutes; after this time a NAT on the way has mostly forgotten them. */
const TCP_IDLE_MS = 10 * 60_000;
/** RFC 4787 §4.3 asks two minutes of a NAT, for ports that nobody else needs; a session here is a socket. */
const UDP_IDLE_MS = 30_000;
/** A descriptor and about 1 KiB of kernel memory each. */
const UDP_SESSIONS = 10_000;

export function streamListenerParts(one: ListenerResource): Pick<ListenerSpec, "proxyProtocol" | "sockmap" | "stream"> {
  const parts = {
    ...(one.proxyProtocol === undefined ? {} : { proxyProtocol: { ...one.proxyProtocol } }),
    ...(one.splice === "sockmap" ? { sockmap: true } : {}),
  };
  if (one.protocol === "http") return parts;
  const udp = one.protocol === "udp";
  const stream = {
    idleTimeoutMs: one.idleTimeoutMs ?? (udp ? UDP_IDLE_MS : TCP_IDLE_MS),
    sessionsMax: udp ? (one.sessionsMax ?? UDP_SESSIONS) : 0,
  };
  return { ...parts, stream };
}
