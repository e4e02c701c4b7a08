/**
 * Active health checks of one upstream. Every worker makes its own: what it wants to know is whether it can reach an
 * endpoint itself, and one that asked for all would have to tell the others, who would not know when it is gone. The price
 * is as many checks as there are workers; their times are spread at random.
 *
 * An endpoint is healthy until its checks say otherwise: a gateway that starts must not answer 503 until the first check.
 */
import { Alarm } from "#net/alarm.ts";
import type { HealthCheckSpec } from "#snapshot/snapshot.ts";
import type { UpstreamContext } from "#upstream/context.ts";
import type { Member } from "#upstream/member.ts";
import type { UpstreamTimeouts } from "#upstream/stream.ts";
import type { Probe } from "./probe.ts";
import { HttpProbe } from "./http-probe.ts";
import { TcpProbe } from "./tcp-probe.ts";

/** Intervals differ by up to this part, so that workers and endpoints do not fall into step. */
const JITTER = 0.1;

export class HealthChecks {
  readonly #spec: HealthCheckSpec;
  readonly #timeouts: UpstreamTimeouts;
  readonly #introduction: Uint8Array | null;
  readonly #context: UpstreamContext;
  readonly #running = new Map<Member, Check>();

  /** `introduction`: what an endpoint gets before anything else; null: nothing. */
  constructor(
    spec: HealthCheckSpec,
    timeouts: UpstreamTimeouts,
    context: UpstreamContext,
    introduction: Uint8Array | null,
  ) {
    this.#spec = spec;
    this.#introduction = introduction;
    this.#timeouts = timeouts;
    this.#context = context;
  }

  /** From here on these are checked, and no others. */
  check(members: readonly Member[]): void {
    for (const [member, check] of this.#running) {
      if (members.includes(member)) continue;
      check.stop();
      this.#running.delete(member);
    }
    for (const member of members) {
      if (this.#running.has(member)) continue;
      const check = new Check(member, this.#spec, this.#timeouts, this.#context, this.#introduction);
      this.#running.set(member, check);
      check.start();
    }
  }

  stop(): void {
    for (const check of this.#running.values()) check.stop();
    this.#running.clear();
  }
}

class Check {
  readonly #member: Member;
  readonly #spec: HealthCheckSpec;
  readonly #timeouts: UpstreamTimeouts;
  readonly #introduction: Uint8Array | null;
  readonly #context: UpstreamContext;
  readonly #alarm: Alarm;
  #probe: Probe | null = null;

  constructor(
    member: Member,
    spec: HealthCheckSpec,
    timeouts: UpstreamTimeouts,
    context: UpstreamContext,
    introduction: Uint8Array | null,
  ) {
    this.#introduction = introduction;
    this.#member = member;
    this.#spec = spec;
    this.#timeouts = timeouts;
    this.#context = context;
    this.#alarm = new Alarm(context.loop, () => this.#ring());
  }

  /** The first one soon, somewhere in a tenth of the interval. */
  start(): void {
    this.#alarm.set(Math.random() * this.#spec.intervalMs * JITTER);
  }

  stop(): void {
    this.#alarm.cancel();
    this.#probe?.cancel();
    this.#probe = null;
  }

  /** One alarm for two things: the next check is due, or the one under way takes too long. */
  #ring(): void {
    if (this.#probe !== null) {
      this.#probe.cancel();
      this.#told(`no answer in ${this.#spec.timeoutMs} ms`);
      return;
    }
    const told = (fault: string): void => this.#told(fault);
    const { endpoint } = this.#member;
    this.#probe =
      this.#spec.type === "http"
        ? new HttpProbe(endpoint, this.#spec, this.#timeouts, this.#context, this.#introduction, told)
        : new TcpProbe(endpoint, this.#context, this.#introduction, told);
    this.#alarm.set(this.#spec.timeoutMs);
    this.#probe.start();
  }

  #told(fault: string): void {
    this.#probe = null;
    const member = this.#member;
    const { unhealthyThreshold, healthyThreshold, intervalMs } = this.#spec;
    member.checkError = fault;
    if ((fault === "") === member.healthy) {
      member.checksAgainst = 0;
    } else {
      member.checksAgainst++;
      const needed = member.healthy ? unhealthyThreshold : healthyThreshold;
      if (member.checksAgainst >= needed) member.setHealthy(fault === "");
    }
    this.#alarm.set(intervalMs * (1 - JITTER / 2 + Math.random() * JITTER));
  }
}
