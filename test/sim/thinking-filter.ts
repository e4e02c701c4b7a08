/** A filter that does to each exchange what its plan says, at once or after a while. */
import type { FakeDriver } from "#io/fake/driver.ts";
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
import { DENIED, type FilterPlan, REPLACED } from "./plan.ts";

const PASS: FilterPlan = { request: "pass", response: "pass", delayMs: 0 };

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
    if (exchange.response.get("x-filter") !== undefined || plan.response === "pass") return CONTINUE;
    if (plan.response === "replace") return this.#deny(exchange, tag, REPLACED);
    this.#driver.after(plan.delayMs, () => exchange.resume(CONTINUE));
    return SUSPEND;
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
    return this.#ledger.plans.get(tag)?.filter ?? PASS;
  }
}
