/**
 * The bodies of one exchange where filters want them: a row of stages for each direction, between the client's side and
 * the upstream's. Null, and nothing but that is asked of a chunk, where no filter has given a stage. Pooled with its exchange.
 */
import { FRAMING_LENGTH, FRAMING_NONE, type Head } from "#http/head.ts";
import { HIGH_WATERMARK_BYTES } from "#net/connection.ts";
import { TRAILERS_DROPPED } from "#observe/counters.ts";
import { UNKNOWN_LENGTH, type BodyStage, type LengthEffect } from "#pipeline/body.ts";
import type { Attempts } from "./attempts.ts";
import { BodyPipe, type BodyEnds } from "./body-pipe.ts";
import type { WorkerContext } from "./context.ts";
import type { DownstreamStream } from "./downstream-stream.ts";

/** The exchange, as its bodies see it. */
export interface BodiesOwner {
  readonly request: Head;
  readonly response: Head;
  readonly ended: boolean;
  readonly downstream: DownstreamStream | null;
  /** The response's last byte has been handed over. */
  responseSent(): void;
  /** A filter takes no more of the request's body, and says why. */
  requestFailed(status: number, code: string, detail: string): void;
  responseFailed(): void;
}

export class Bodies {
  readonly #worker: WorkerContext;
  readonly #owner: BodiesOwner;
  readonly #attempts: Attempts;
  request: BodyPipe | null = null;
  response: BodyPipe | null = null;
  #upstreamPaused = false;
  /** Nothing of a body may leave before. */
  #headSent = false;
  /** As sent to the client. */
  responseBytes = 0;

  constructor(worker: WorkerContext, owner: BodiesOwner, attempts: Attempts) {
    this.#worker = worker;
    this.#owner = owner;
    this.#attempts = attempts;
  }

  // Filters.

  addRequest(stage: BodyStage, effect: LengthEffect): void {
    this.request ??= this.#pipe(new RequestEnds(this.#owner, this.#attempts, this));
    if (effect === UNKNOWN_LENGTH) this.#owner.request.forgetLength();
    this.request.add(stage);
  }

  addResponse(stage: BodyStage, effect: LengthEffect): void {
    this.response ??= this.#pipe(new ResponseEnds(this.#owner, this));
    if (effect === UNKNOWN_LENGTH) this.#owner.response.forgetLength();
    this.response.add(stage);
  }

  #pipe(ends: BodyEnds): BodyPipe {
    return new BodyPipe(this.#worker.buffers, this.#worker.trailers, ends);
  }

  /** Another response takes the place of the one that these stages were for. */
  dropResponse(): void {
    this.response?.dispose();
    this.response = null;
  }

  // From client to upstream.

  /** The request's body can be taken. */
  get wantsRequest(): boolean {
    return this.request === null ? this.#attempts.wantsBody : !this.request.full;
  }

  /** The endpoint can take it. */
  requestWanted(): void {
    if (this.request === null) this.#owner.downstream?.resumeRequest();
    else this.request.drained();
  }

  requestData(buffer: number, start: number, end: number): void {
    if (this.request === null) this.#attempts.data(buffer, start, end);
    else this.request.data(buffer, start, end);
  }

  requestEnd(trailers: Head | null): void {
    if (this.request === null) this.#attempts.end(trailers);
    else this.request.end(trailers);
  }

  // From upstream to client.

  responseData(buffer: number, start: number, end: number): void {
    if (this.response === null) {
      this.sendData(buffer, start, end);
      return;
    }
    this.response.data(buffer, start, end);
    if (!this.#owner.ended && this.response?.full) this.pauseUpstream();
  }

  responseEnd(trailers: Head | null): void {
    if (this.response === null) this.sendEnd(trailers);
    else this.response.end(trailers);
  }

  /** What waits behind the head may follow it. */
  headSent(): void {
    this.#headSent = true;
    this.response?.drained();
  }

  /** The same for the gateway's own reply, whose body follows at once: `headSent` is called behind it. */
  replyHeadSent(): void {
    this.#headSent = true;
  }

  /** Nothing of the response has left. */
  get headWaits(): boolean {
    return !this.#headSent;
  }

  trailersLost(): void {
    this.#worker.counters.add(TRAILERS_DROPPED, 1);
  }

  clientDrained(): void {
    if (this.response === null) this.resumeUpstream();
    else this.response.drained();
  }

  // What of the response leaves, through filters or not.

  get clientFull(): boolean {
    return !this.#headSent || (this.#owner.downstream?.queuedBytes ?? 0) > HIGH_WATERMARK_BYTES;
  }

  sendData(buffer: number, start: number, end: number): void {
    this.responseBytes += end - start;
    const stream = this.#owner.downstream as DownstreamStream;
    stream.sendData(buffer, start, end);
    if (!this.#owner.ended && stream.queuedBytes > HIGH_WATERMARK_BYTES) this.pauseUpstream();
  }

  sendEnd(trailers: Head | null): void {
    this.#owner.downstream?.sendEnd(trailers);
    if (!this.#owner.ended) this.#owner.responseSent();
  }

  pauseUpstream(): void {
    if (this.#upstreamPaused) return;
    this.#upstreamPaused = true;
    this.#attempts.stream?.pause();
  }

  resumeUpstream(): void {
    if (!this.#upstreamPaused) return;
    this.#upstreamPaused = false;
    this.#attempts.stream?.resume();
  }

  reset(): void {
    this.request?.dispose();
    this.request = null;
    this.dropResponse();
    this.#upstreamPaused = false;
    this.#headSent = false;
    this.responseBytes = 0;
  }
}

/** Chunked, or of a length that need not be said yet: then it is not. */
function carriesTrailers(head: Head, waits: boolean): boolean {
  if (head.framing !== FRAMING_LENGTH) return head.framing !== FRAMING_NONE;
  if (waits) head.announcesTrailers = true;
  return head.announcesTrailers;
}

class RequestEnds implements BodyEnds {
  readonly #owner: BodiesOwner;
  readonly #attempts: Attempts;
  readonly #bodies: Bodies;

  constructor(owner: BodiesOwner, attempts: Attempts, bodies: Bodies) {
    this.#owner = owner;
    this.#attempts = attempts;
    this.#bodies = bodies;
  }

  carriesTrailers(): boolean {
    return carriesTrailers(this.#owner.request, !this.#attempts.begun);
  }

  trailersLost(): void {
    this.#bodies.trailersLost();
  }

  get drainFull(): boolean {
    return !this.#attempts.wantsBody;
  }

  drainData(buffer: number, start: number, end: number): void {
    this.#attempts.data(buffer, start, end);
  }

  drainEnd(trailers: Head | null): void {
    this.#attempts.end(trailers);
  }

  resumeSource(): void {
    this.#owner.downstream?.resumeRequest();
  }

  pauseSource(): void {
    this.#owner.downstream?.pauseRequest();
  }

  bodyFailed(status: number, code: string, detail: string): void {
    this.#owner.requestFailed(status, code, detail);
  }
}

class ResponseEnds implements BodyEnds {
  readonly #owner: BodiesOwner;
  readonly #bodies: Bodies;

  constructor(owner: BodiesOwner, bodies: Bodies) {
    this.#owner = owner;
    this.#bodies = bodies;
  }

  get drainFull(): boolean {
    return this.#bodies.clientFull;
  }

  /** A client of HTTP/1.0 gets no chunks. */
  carriesTrailers(): boolean {
    const { response, downstream } = this.#owner;
    return downstream?.requestMinor === 1 && carriesTrailers(response, this.#bodies.headWaits);
  }

  trailersLost(): void {
    this.#bodies.trailersLost();
  }

  drainData(buffer: number, start: number, end: number): void {
    // To HEAD, 204 and 304 no content belongs, whatever a stage says.
    if (this.#owner.response.framing !== FRAMING_NONE) this.#bodies.sendData(buffer, start, end);
  }

  drainEnd(trailers: Head | null): void {
    this.#bodies.sendEnd(trailers);
  }

  resumeSource(): void {
    this.#bodies.resumeUpstream();
  }

  pauseSource(): void {
    this.#bodies.pauseUpstream();
  }

  bodyFailed(): void {
    this.#owner.responseFailed();
  }
}
