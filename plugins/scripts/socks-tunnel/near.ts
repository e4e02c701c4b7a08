/** The near end: applications speak SOCKS to it, and it asks the far end, over HTTP, for a tunnel to where they want to go. */
import { listen } from "penstock";

const FAR_END = "127.0.0.1:8443";
const TOKEN = "s3cret";

interface Stream {
  destination?: string;
}

listen<Stream>("127.0.0.1:1080", ($) =>
  $.acceptSOCKS(({ host, port }, ctx) => {
    ctx.destination = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
    return true;
  }).to(($) =>
    $.connectHTTPTunnel(({ destination = "" }) => ({
      path: destination,
      headers: { host: destination, "proxy-authorization": `Bearer ${TOKEN}` },
    })).to(($) => $.connect(FAR_END)),
  ),
);
