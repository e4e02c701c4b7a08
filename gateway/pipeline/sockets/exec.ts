/**
 * `exec`: bytes in go to a command's standard input, what it prints comes out. The supervisor starts it, as workers can start
 * nothing, and hands over one end of a socket pair; it ends with its stream. A command that fails is the script's failure,
 * whatever it has printed: its output is whole only when it exits with 0.
 */
import { Connection } from "#net/connection.ts";
import { ENDED, SCRIPT_FAILED, type Ending } from "#pipeline/events/ending.ts";
import type { Sink } from "#pipeline/events/sink.ts";
import { HoldingFilter } from "#pipeline/filters/holding-filter.ts";
import type { Scope } from "#pipeline/layout/scope.ts";
import type { RunningCommand } from "#pipeline/runtime.ts";
import { SocketStream, type SocketOwner } from "./socket-stream.ts";

const IDLE_MS = 600_000;

export class Exec<C extends object> extends HoldingFilter<C> implements SocketOwner {
  readonly #command: string;
  #running: RunningCommand | null = null;
  #stream: SocketStream | null = null;
  /** Null: it has exited with 0; undefined: it runs. */
  #failure: string | null | undefined = undefined;
  /** How its output ended, while its exit is waited for. */
  #ending: Ending | null = null;

  constructor(scope: Scope<C>, command: string) {
    super(scope);
    this.#command = command;
  }

  override started(): void {
    const { runtime } = this.scope;
    this.waitFor(
      runtime.run(this.#command, (failure) => this.#exited(failure)),
      (running) => this.#begin(running),
    );
  }

  #begin(running: RunningCommand): void {
    const { runtime } = this.scope;
    if (this.scope.ended) {
      running.end();
      return;
    }
    this.#running = running;
    const connection = new Connection(runtime.loop, runtime.gather);
    const stream = new SocketStream(connection, runtime, this, IDLE_MS);
    this.#stream = stream;
    connection.adopt(runtime.loop.driver.adopt(running.fd, connection), stream);
    stream.receiver = { input: this.#outcome };
    stream.begin();
  }

  readonly #outcome: Sink = {
    messageStart: () => {},
    data: (buffer, start, end) => this.output.data(buffer, start, end),
    messageEnd: () => {},
    streamEnd: (ending) => {
      this.#ending = ending;
      this.#settle();
    },
  };

  #exited(failure: string | null): void {
    this.#failure = failure;
    this.#settle();
  }

  /** Its output is over, and it has exited: in whatever order that was told. */
  #settle(): void {
    if (this.#ending === null || this.#failure === undefined) return;
    if (this.#failure === null && this.#ending === ENDED) {
      this.output.streamEnd(ENDED);
      return;
    }
    this.scope.runtime.log(`exec ${this.#command}: ${this.#failure ?? "its output broke off"}`);
    this.scope.break(SCRIPT_FAILED);
  }

  override takeMessageStart(): void {}

  override takeData(buffer: number, start: number, end: number): void {
    this.#stream?.data(buffer, start, end);
  }

  /** A message is all that a command is given. */
  override takeMessageEnd(): void {
    this.#stream?.streamEnd(ENDED);
  }

  override takeStreamEnd(ending: Ending): void {
    if (ending === ENDED) this.#stream?.streamEnd(ENDED);
    else this.#end();
  }

  connected(): void {}

  closed(): void {
    this.#stream = null;
  }

  override dispose(): void {
    super.dispose();
    this.#end();
  }

  #end(): void {
    this.#stream?.close();
    this.#stream = null;
    if (this.#failure === undefined) this.#running?.end();
    this.#running = null;
  }
}
