/** Steps that reach out. */
import { Connect, type ConnectOptions, type TargetOf } from "#pipeline/sockets/connect.ts";
import { ConnectDatagrams } from "#pipeline/sockets/connect-datagrams.ts";
import type { ConnectTlsOptions, ListenTlsOptions } from "#pipeline/runtime.ts";
import { AcceptTls, ConnectTls } from "#pipeline/sockets/tls-filters.ts";
import type { Joint } from "./steps.ts";
import { JoinSteps } from "./join-steps.ts";

export abstract class SocketSteps<C extends object> extends JoinSteps<C> {
  /** Connects to a target: what comes is sent there, what it sends goes on. Of `udp`, each message is a datagram. */
  connect(target: TargetOf<C>, options: ConnectOptions = {}): this {
    if (options.protocol === "udp") return this.use((scope) => new ConnectDatagrams(scope, target, options));
    return this.use((scope) => new Connect(scope, target, options));
  }

  /** The server's end of TLS over this stream; what is said inside is for the sub-pipeline. */
  acceptTLS(options: ListenTlsOptions): Joint<this, C> {
    return this.joint("acceptTLS", (pipeline) => (scope) => new AcceptTls(scope, pipeline, options));
  }

  /** The client's end of TLS, over the sub-pipeline: `connect`, or a tunnel. `serverName` is asked for and verified. */
  connectTLS(options: ConnectTlsOptions & { readonly serverName: string }): Joint<this, C> {
    return this.joint("connectTLS", (pipeline) => (scope) => new ConnectTls(scope, pipeline, options));
  }
}
