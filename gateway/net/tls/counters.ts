/** What happens to the TLS connections of a worker, counted. Names are for whoever reads them. */
import { TLS_REFUSALS, type TlsRefusal } from "./refusals.ts";

export class TlsCounters {
  /** Handshakes of clients that succeeded, resumed ones included. */
  handshakes = 0;
  resumed = 0;
  /** Handshakes with upstreams that succeeded, resumed ones included. */
  upstreamHandshakes = 0;
  upstreamResumed = 0;
  upstreamFailures = 0;
  /** Connections whose peer ended without saying so (RFC 8446 §6.1). */
  truncated = 0;
  readonly #refused = new Float64Array(TLS_REFUSALS.length);

  refused(reason: TlsRefusal): void {
    const slot = TLS_REFUSALS.indexOf(reason);
    this.#refused[slot] = (this.#refused[slot] as number) + 1;
  }

  /** `underWay`: handshakes at this moment. */
  read(underWay: number): Record<string, number> {
    const all: Record<string, number> = {
      tls_handshakes: this.handshakes,
      tls_handshakes_open: underWay,
      tls_resumed: this.resumed,
      tls_truncated: this.truncated,
      tls_upstream_handshakes: this.upstreamHandshakes,
      tls_upstream_resumed: this.upstreamResumed,
      tls_upstream_failures: this.upstreamFailures,
    };
    TLS_REFUSALS.forEach((reason, i) => {
      all[`tls_refused{reason="${reason}"}`] = this.#refused[i] as number;
    });
    return all;
  }
}
