/**
 * TLS in the middle of a pipeline: `acceptTLS` is the server's end, whose plaintext goes to the sub-pipeline; `connectTLS` is the
 * client's, whose ciphertext goes over the sub-pipeline. For TLS at a socket, `listen` and `connect` take options and cost less.
 */
import type { Connection } from "#net/connection.ts";
import type { ConnectionHandler, Peer } from "#net/listener.ts";
import { TLS_UNTRUSTED } from "#net/tls/client-tls.ts";
import { TlsAcceptor } from "#net/tls/acceptor.ts";
import { ENDED, RESET, UNTRUSTED, type Ending } from "#pipeline/events/ending.ts";
import { HoldingFilter } from "#pipeline/filters/holding-filter.ts";
import { PipeFilter } from "#pipeline/filters/pipe-filter.ts";
import { Instance } from "#pipeline/layout/instance.ts";
import type { Pipeline } from "#pipeline/layout/pipeline.ts";
import type { Scope } from "#pipeline/layout/scope.ts";
import type { ConnectTlsOptions, ListenTlsOptions } from "#pipeline/runtime.ts";
import { SocketStream, type SocketOwner } from "./socket-stream.ts";
import { StreamEnds } from "./stream-carrier.ts";

/** The stream below has time-outs of its own. */
const NO_IDLE_MS = Number.POSITIVE_INFINITY;

export class AcceptTls<C extends object> extends PipeFilter<C> implements ConnectionHandler, SocketOwner {
  readonly #pipeline: Pipeline<C>;
  readonly #options: ListenTlsOptions;
  #ends: StreamEnds | null = null;
  #inside: Instance<C> | null = null;

  constructor(scope: Scope<C>, pipeline: Pipeline<C>, options: ListenTlsOptions) {
    super(scope);
    this.#pipeline = pipeline;
    this.#options = options;
  }

  override started(): void {
    const { runtime, context } = this.scope;
    const ends = new StreamEnds(runtime, this.output);
    const { socket } = ends.connection;
    if (socket === null) return;
    try {
      const { server, records } = runtime.serverTlsOverStream(this.#options);
      const refused = (_: Peer, reason: string, detail: string): void => runtime.log(`acceptTLS: ${reason}: ${detail}`);
      const rules = { speaksHttp: true, admit: () => true, left: () => {}, isShort: () => false, refused };
      const { remoteAddress: ip, remotePort: port } = context.inbound ?? NOBODY_KNOWN;
      const peer = { ip, port, ipBytes: new Uint8Array(16), address: new Uint8Array(0) };
      new TlsAcceptor({ records, settings: () => server, ...rules }, this).onConnection(ends.connection, socket, peer);
    } catch (error) {
      this.scope.fail(error);
      return;
    }
    this.#ends = ends;
  }

  onConnection(connection: Connection): void {
    const { runtime, context } = this.scope;
    const stream = new SocketStream(connection, runtime, this, NO_IDLE_MS);
    this.#inside = new Instance(this.#pipeline, context, runtime, stream);
    connection.protocol = stream;
    stream.receiver = this.#inside;
    this.#inside.start();
    stream.begin();
  }

  connected(): void {}

  closed(): void {
    this.#inside?.dispose();
  }

  override data(buffer: number, start: number, end: number): void {
    this.#ends?.data(buffer, start, end);
  }

  override streamEnd(ending: Ending): void {
    this.#ends?.streamEnd(ending);
  }

  override dispose(): void {
    this.#inside?.dispose();
    this.#ends?.connection.close();
  }
}

const NOBODY_KNOWN = { remoteAddress: "", remotePort: 0 };

export class ConnectTls<C extends object> extends HoldingFilter<C> implements SocketOwner {
  readonly #pipeline: Pipeline<C>;
  readonly #options: ConnectTlsOptions;
  #stream: SocketStream | null = null;
  #below: Instance<C> | null = null;

  constructor(scope: Scope<C>, pipeline: Pipeline<C>, options: ConnectTlsOptions) {
    super(scope);
    this.#pipeline = pipeline;
    this.#options = options;
  }

  override started(): void {
    const { runtime, context } = this.scope;
    this.hold();
    const below = new Instance(this.#pipeline, context, runtime, {
      messageStart: () => {},
      data: (buffer, start, end) => ends.data(buffer, start, end),
      messageEnd: () => {},
      streamEnd: (ending) => ends.streamEnd(ending),
    });
    const ends = new StreamEnds(runtime, {
      messageStart: () => {},
      data: (buffer, start, end) => below.input.data(buffer, start, end),
      messageEnd: () => {},
      streamEnd: (ending) => below.input.streamEnd(ending),
    });
    this.#below = below;
    this.#stream = new SocketStream(ends.connection, runtime, this, NO_IDLE_MS);
    below.start();
    try {
      runtime.clientTlsOverStream(this.#options).secure(ends.connection, this.#options.serverName ?? "", this.#stream);
    } catch (error) {
      this.scope.fail(error);
    }
  }

  connected(error: number): void {
    const stream = this.#stream;
    if (error !== 0 || stream === null) {
      this.scope.break(error === TLS_UNTRUSTED ? UNTRUSTED : RESET);
      return;
    }
    stream.receiver = { input: this.output };
    stream.begin();
    this.release();
  }

  closed(): void {}

  override takeData(buffer: number, start: number, end: number): void {
    this.#stream?.data(buffer, start, end);
  }

  override takeStreamEnd(ending: Ending): void {
    this.#stream?.streamEnd(ending === ENDED ? ENDED : RESET);
  }

  override dispose(): void {
    super.dispose();
    this.#stream?.close();
    this.#below?.dispose();
  }
}
