/** Steps that reach out. */
import { Connect, type ConnectOptions, type TargetOf } from "#pipeline/sockets/connect.ts";
import { JoinSteps } from "./join-steps.ts";

export abstract class SocketSteps<C extends object> extends JoinSteps<C> {
  /** Connects to a target: what comes is sent there, what it sends goes on. */
  connect(target: TargetOf<C>, options: ConnectOptions = {}): this {
    return this.use((scope) => new Connect(scope, target, options));
  }
}
