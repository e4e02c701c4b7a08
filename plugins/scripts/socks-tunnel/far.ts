/** The far end: an HTTP proxy that knows CONNECT, for who has the token, and only to where it may lead. */
import { listen, Message, Netmask } from "penstock";

const TOKEN = "s3cret";
const REACHABLE = [new Netmask("127.0.0.0/8")];

interface Stream {
  destination?: string;
}

/** `10.0.0.1:443`, where it is an address that may be reached. */
function allowed(destination: string): boolean {
  const host = destination.slice(0, destination.lastIndexOf(":")).replace(/^\[(.*)\]$/, "$1");
  return REACHABLE.some((block) => block.contains(host));
}

listen<Stream>("127.0.0.1:8443", ($) =>
  $.demuxHTTP().to(($) =>
    $.acceptHTTPTunnel(({ head }, ctx) => {
      if (head.method !== "CONNECT") return new Message({ status: 405, headers: { allow: "CONNECT" } });
      if (head.headers["proxy-authorization"] !== `Bearer ${TOKEN}`) return new Message({ status: 407 });
      const destination = head.headers["host"] ?? "";
      if (!allowed(destination)) return new Message({ status: 403 }, "not reachable from here\n");
      ctx.destination = destination;
      return new Message({ status: 200 });
    }).to(($) => $.connect((ctx) => ctx.destination)),
  ),
);
