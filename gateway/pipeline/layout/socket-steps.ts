/** Steps that reach out. */
import { Connect, type ConnectOptions, type TargetOf } from "#pipeline/sockets/connect.ts";
import { ConnectDatagrams } from "#pipeline/sockets/connect-datagrams.ts";
import { JoinSteps } from "./join-steps.ts";

export abstract class SocketSteps<C extends object> extends JoinSteps<C> {
  /** Connects to a target: what comes is sent there, what it sends goes on. Of `udp`, each message is a datagram. */
  connect(target: TargetOf<C>, options: ConnectOptions = {}): this {
    if (options.protocol === "udp") return this.use((scope) => new ConnectDatagrams(scope, target, options));
    return this.use((scope) => new Connect(scope, target, options));
  }
}
