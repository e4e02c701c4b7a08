/** A filter that does to each exchange what its plan says, at once or after a while. */
import { FRAMING_LENGTH, FRAMING_NONE, type Head } from "#http/head.ts";
import { internName, TRAILER } from "#http/names.ts";
import type { FakeDriver } from "#io/fake/driver.ts";
import { PassingStage, SAME_LENGTH } from "#pipeline/body.ts";
import {
  CONTINUE,
  type Exchange,
  type Filter,
  HOOK_END,
  HOOK_REQUEST_HEAD,
  HOOK_RESPONSE_HEAD,
  REPLY,
  SUSPEND,
  type Verdict,
} from "#pipeline/filter.ts";
import type { Ledger } from "./ledger.ts";
import { DENIED, type FilterPlan, PASSED, REPLACED } from "./plan.ts";

const X_TRAIL = internName("x-trail");
const ANNOUNCED = Buffer.from("x-trail");

/** Adds the trailer of its exchange. */
class Trails extends PassingStage {
  readonly #tag: Uint8Array;
  readonly #wait: (add: () => void) => void;

  constructor(tag: string, wait: (add: () => void) => void) {
    super();
    this.#tag = Buffer.from(tag);
    this.#wait = wait;
  }

  override end(): void {
    this.#wait(() => {
      this.link.makeTrailers()?.add(X_TRAIL, this.#tag, 0, this.#tag.length);
      this.link.end();
    });
  }
}

export class ThinkingFilter implements Filter {
  readonly name = "thinking";
  readonly hooks = HOOK_REQUEST_HEAD | HOOK_RESPONSE_HEAD | HOOK_END;
  readonly #ledger: Ledger;
  readonly #driver: FakeDriver;

  constructor(ledger: Ledger, driver: FakeDriver) {
    this.#ledger = ledger;
    this.#driver = driver;
  }

  requestHead(exchange: Exchange): Verdict {
    const tag = exchange.request.get("x-tag") ?? "";
    const plan = this.#planOf(tag);
    const stage = plan.request.startsWith("deny") ? null : this.#trails(exchange.request, tag, plan);
    if (stage !== null) exchange.filterRequestBody(stage, SAME_LENGTH);
    if (plan.request === "pass") return CONTINUE;
    if (plan.request === "deny") return this.#deny(exchange, tag, DENIED);
    this.#driver.after(plan.delayMs, () => {
      if (exchange.ended || exchange.request.get("x-tag") !== tag) return;
      exchange.resume(plan.request === "later" ? CONTINUE : this.#deny(exchange, tag, DENIED));
    });
    return SUSPEND;
  }

  responseHead(exchange: Exchange): Verdict {
    const tag = exchange.request.get("x-tag") ?? "";
    const plan = this.#planOf(tag);
    if (exchange.response.get("x-filter") !== undefined) return CONTINUE;
    if (plan.response === "replace") return this.#deny(exchange, tag, REPLACED);
    const stage = this.#trails(exchange.response, tag, plan);
    if (stage !== null) exchange.filterResponseBody(stage, SAME_LENGTH);
    if (plan.response === "pass") return CONTINUE;
    this.#driver.after(plan.delayMs, () => exchange.resume(CONTINUE));
    return SUSPEND;
  }

  #trails(head: Head, tag: string, { trailers, delayMs }: FilterPlan): Trails | null {
    const { framing, contentLength } = head;
    // A response that is empty has an end all the same; a request has none.
    const isEmpty =
      framing === FRAMING_NONE || (framing === FRAMING_LENGTH && contentLength === 0 && head.status === 0);
    if (trailers === "none" || isEmpty) return null;
    head.add(TRAILER, ANNOUNCED, 0, ANNOUNCED.length);
    return new Trails(tag, (add) => (trailers === "now" ? add() : this.#driver.after(delayMs, add)));
  }

  end(): void {
    this.#ledger.note("exchange ended");
  }

  dispose(): void {}

  #deny(exchange: Exchange, tag: string, status: number): Verdict {
    exchange.respond(
      status,
      [
        ["x-filter", "thinking"],
        ["x-tag", tag],
      ],
      Buffer.from("no\n"),
    );
    return REPLY;
  }

  #planOf(tag: string): FilterPlan {
    return this.#ledger.plans.get(tag)?.filter ?? PASSED;
  }
}
