/**
 * What a host behind a NAT needs from one that is not: a STUN server (RFC 8489), which tells it under which address it is
 * seen, and an echo, by which it finds out whether that address is reached from elsewhere.
 */
import { decodeStun, encodeStun, listen, Message } from "penstock";

/** Message types of STUN: a binding request, and its answer. */
const BINDING = 0x0001;
const SUCCESS = 0x0101;

listen("127.0.0.1:3478", { protocol: "udp" }, ($) =>
  $.replaceMessage<object>(({ body }, { inbound }) => {
    const request = decodeStun(body.toBytes());
    // Whoever is no STUN client gets no answer: not even one that says so, which could be sent to somebody else.
    if (typeof request === "string" || request.type !== BINDING) return undefined;
    const mapped = { address: inbound.remoteAddress, port: inbound.remotePort };
    return new Message({}, encodeStun({ type: SUCCESS, transactionID: request.transactionID, mapped }));
  }),
);

listen("127.0.0.1:5000", { protocol: "udp" }, ($) =>
  $.replaceMessage<object>(({ body }) => new Message({}, String(body).startsWith("PING") ? "PONG" : body.toBytes())),
);
