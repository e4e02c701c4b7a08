/**
 * A second request to another endpoint while the first is under way: what may be done twice, has no body, and has had no answer
 * for as long as the policy says. Who answers first is the response; the other is broken off.
 *
 *     beside ─▶ the first answers, or this one fails: dropped
 *        └────▶ it answers, or the first fails: it leads, and everything it hears is the attempts' to hear
 */
import type { Head } from "#http/head.ts";
import type { Broken } from "#upstream/broken.ts";
import type { ResponseSink, UpstreamStream } from "#upstream/stream.ts";
import type { DownstreamStream } from "./downstream-stream.ts";
import type { Engine } from "./engine.ts";
import type { Target } from "./target.ts";

/** The attempts that it stands beside; from when it leads, all that it hears goes there. */
export interface HedgeOwner extends ResponseSink {
  /** Writes the request's head to its connection. False: it can't be. */
  sendBeside(stream: UpstreamStream): boolean;
  /** It has answered first: it leads from here on, or was dropped. */
  hedgeAnswers(): boolean;
  /** It will not answer. */
  hedgeFailed(): void;
}

export class Hedge implements ResponseSink {
  readonly response: Head;
  readonly requestMethod: number;
  readonly target: Target;
  readonly #owner: HedgeOwner;
  #stream: UpstreamStream | null = null;
  #leads = false;

  /** `target`: an endpoint is chosen. */
  constructor(owner: HedgeOwner, target: Target) {
    this.#owner = owner;
    this.target = target;
    this.response = owner.response;
    this.requestMethod = owner.requestMethod;
  }

  start(engine: Engine, downstream: DownstreamStream | null): void {
    this.#stream = this.target.acquire(this, engine, downstream);
    if (this.target.connected) this.#send();
  }

  /** Takes the first one's place: its connection, from now on the attempts'. */
  lead(): UpstreamStream | null {
    this.#leads = true;
    return this.#stream;
  }

  drop(): void {
    this.#stream?.discard();
    this.#stream = null;
  }

  #send(): void {
    if (this.#stream !== null && !this.#owner.sendBeside(this.#stream)) this.#fail();
  }

  #fail(): void {
    this.drop();
    this.#owner.hedgeFailed();
  }

  onConnected(): void {
    if (this.#leads) {
      this.#owner.onConnected();
      return;
    }
    this.target.connected = true;
    this.#send();
  }

  onConnectFailed(error: number): void {
    this.#stream = null;
    if (this.#leads) this.#owner.onConnectFailed(error);
    else this.#owner.hedgeFailed();
  }

  onInformational(): void {
    if (this.#leads) this.#owner.onInformational();
  }

  onResponseHead(buffer: number): void {
    if (this.#leads || this.#owner.hedgeAnswers()) this.#owner.onResponseHead(buffer);
  }

  onResponseData(buffer: number, start: number, end: number): void {
    this.#owner.onResponseData(buffer, start, end);
  }

  onResponseEnd(trailers: Head | null): void {
    this.#owner.onResponseEnd(trailers);
  }

  onUpstreamBroken(reason: Broken): void {
    this.#stream = null;
    if (this.#leads) this.#owner.onUpstreamBroken(reason);
    else this.#owner.hedgeFailed();
  }

  onUpstreamDrained(): void {
    if (this.#leads) this.#owner.onUpstreamDrained();
  }
}
