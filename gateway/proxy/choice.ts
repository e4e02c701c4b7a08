/**
 * Which endpoint an exchange goes to: chosen, waited for where all are at their limits, chosen again when one has failed; and whether the
 * answer is to bind its client to it. Pooled with its exchange.
 */
import { METHOD_CONNECT, type Head } from "#http/head.ts";
import type { Waiter } from "#upstream/wait-queue.ts";
import type { WorkerContext } from "./context.ts";
import type { Detour } from "./detour.ts";
import type { DownstreamStream } from "./downstream-stream.ts";
import type { Route } from "./engine.ts";
import * as outcomes from "./outcomes.ts";
import type { Split } from "./split.ts";
import { Target } from "./target.ts";

export interface ChoiceOwner {
  readonly request: Head;
  /** The target has an endpoint. */
  chosen(): void;
  /** There is none to be had. */
  notChosen(outcome: outcomes.Outcome): void;
}

export class Choice implements Waiter {
  readonly #owner: ChoiceOwner;
  readonly target: Target;
  #client = "";
  #split: Split | null = null;
  /** The response is to bind its client to the endpoint. */
  #binds = false;
  /** And to the part of a split. */
  #bindsSplit = false;
  #waiting = false;
  waitingSinceMs = 0;

  constructor(worker: WorkerContext, owner: ChoiceOwner) {
    this.#owner = owner;
    this.target = new Target(worker);
  }

  /** OK, or why there is nowhere to go. `detour`: a filter's, in the place of what the route says. */
  begin(route: Route, downstream: DownstreamStream, detour: Detour | null): outcomes.Outcome {
    this.#client = downstream.client;
    this.#split = detour === null ? route.split : null;
    this.target.connect = route.spec.connect ?? null;
    if (detour !== null) return this.target.beginDetour(detour);
    const original = route.split === null ? downstream.originalAddress : null;
    return this.target.begin(route, original, this.#owner.request, this.#client);
  }

  /** The owner hears of it, now or later. */
  choose(): void {
    const outcome = this.target.choose(this.#owner.request, this.#client);
    if (outcome === outcomes.OK) this.#owner.chosen();
    else if (outcome === outcomes.UPSTREAM_BUSY) this.#wait();
    else this.#owner.notChosen(outcome);
  }

  /** Another endpoint than those that were tried. */
  chooseOther(): boolean {
    return this.target.chooseOther(this.#owner.request, this.#client);
  }

  /** Rather another endpoint than the same again. False when none can take it: what was chosen stays. */
  chooseAny(): boolean {
    if (this.chooseOther()) return true;
    this.target.forgetTried();
    return this.target.choose(this.#owner.request, this.#client) === outcomes.OK;
  }

  /** For a second request beside the first; null when no other endpoint can take it. */
  beside(): Target | null {
    const target = this.target.beside();
    return target.choose(this.#owner.request, this.#client) === outcomes.OK ? target : null;
  }

  #wait(): void {
    const queue = this.target.upstream?.queue ?? null;
    if (queue === null) this.#owner.notChosen(outcomes.UPSTREAM_BUSY);
    else if (queue.add(this)) this.#waiting = true;
    else this.#owner.notChosen(outcomes.QUEUE_FULL);
  }

  admitted(): void {
    this.#waiting = false;
    this.choose();
  }

  waitedTooLong(): void {
    this.#waiting = false;
    this.#owner.notChosen(outcomes.QUEUE_TIMEOUT);
  }

  /** The request goes to the endpoint. Who asks for a tunnel keeps no cookies. */
  noteBinding(): void {
    const { request } = this.#owner;
    const { upstream, member } = this.target;
    const sticky = request.method === METHOD_CONNECT ? null : (upstream?.sticky ?? null);
    this.#binds = sticky !== null && sticky.memberOf(request) !== member;
    this.#bindsSplit = this.#split !== null && upstream !== null && this.#split.binds(request, upstream);
  }

  bind(response: Head): void {
    const { upstream, member } = this.target;
    if (upstream === null || member === null) return;
    if (this.#binds) upstream.sticky?.bind(response, member);
    if (this.#bindsSplit) this.#split?.bind(response, upstream);
  }

  succeeded(): void {
    const { upstream, member } = this.target;
    if (upstream !== null && member !== null) upstream.succeeded(member);
  }

  failed(): void {
    const { upstream, member } = this.target;
    if (upstream !== null && member !== null) upstream.failed(member);
  }

  /** Nobody waits for an endpoint any more. */
  drop(): void {
    if (this.#waiting) this.target.upstream?.queue?.remove(this);
    this.#waiting = false;
  }

  reset(): void {
    this.target.reset();
    this.#client = "";
    this.#split = null;
    this.#binds = false;
    this.#bindsSplit = false;
  }
}
