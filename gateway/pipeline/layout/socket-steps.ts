/** Steps that reach out. */
import { pipelineError } from "#core/errors/pipeline.ts";
import { Connect, localAddress, type ConnectOptions, type TargetOf } from "#pipeline/sockets/connect.ts";
import { ConnectNetlink } from "#pipeline/sockets/connect-netlink.ts";
import { ConnectDatagrams } from "#pipeline/sockets/connect-datagrams.ts";
import type { ConnectTlsOptions, ListenTlsOptions } from "#pipeline/runtime.ts";
import { Exec } from "#pipeline/sockets/exec.ts";
import { AcceptTls, ConnectTls } from "#pipeline/sockets/tls-filters.ts";
import type { Joint } from "./steps.ts";
import { JoinSteps } from "./join-steps.ts";

export abstract class SocketSteps<C extends object> extends JoinSteps<C> {
  /**
   * Connects to a target: what comes is sent there, what it sends goes on. Of `udp`, each message is a datagram; of `netlink`, whose
   * target is `"route"`, a message of NETLINK_ROUTE, which the supervisor sends.
   */
  connect(target: TargetOf<C>, options: ConnectOptions = {}): this {
    if (options.protocol === "netlink") return this.#connectNetlink(target);
    const local = localAddress(options);
    if (options.protocol === "udp") return this.use((scope) => new ConnectDatagrams(scope, target, options, local));
    return this.use((scope) => new Connect(scope, target, options, local));
  }

  #connectNetlink(target: TargetOf<C>): this {
    if (target !== "route")
      throw pipelineError("PENSTOCK_PIPELINE_TARGET", {
        detail: `netlink ${JSON.stringify(target)}: there is "route"`,
      });
    return this.use((scope) => new ConnectNetlink(scope));
  }

  /**
   * Runs a command for the stream: bytes, or the body of a message, go to its standard input, what it prints goes on, as bytes. The
   * supervisor starts it, as nobody where it is root itself, in a process group that ends with the stream; one that fails is a
   * 500, and in the log. Written out in the script: words between spaces, no shell; the first may be a path from the script.
   */
  exec(command: string): this {
    if (command.trim() === "") throw pipelineError("PENSTOCK_PIPELINE_LAYOUT", { detail: "exec of nothing" });
    return this.use((scope) => new Exec(scope, command));
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
