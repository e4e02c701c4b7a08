/**
 * What both kinds of plugin filter share: making guests, counting, faults and what becomes of a request whose guest
 * failed. A fault never reaches the engine as an exception.
 */
import { PenstockError } from "#core/errors.ts";
import { CONTINUE, type Exchange, type Filter, REPLY, SUSPEND, type Verdict } from "#pipeline/filter.ts";
import { type Admission, DEFER, type TenantAccount } from "#pipeline/tenant.ts";
import { wasmError } from "#core/errors/wasm.ts";
import type { PluginSpec } from "#snapshot/snapshot.ts";
import type { GuestEnvironment } from "#wasm/guest/environment.ts";
import { describeFault, type Fault } from "#wasm/guest/faults.ts";
import type { Guest } from "#wasm/guest/guest.ts";
import { ACTION_CONTINUE, ACTION_REPLY } from "#wasm/guest/hooks.ts";
import { instantiateGuest } from "#wasm/guest/instantiate.ts";
import type { Interposer, LoadedModule } from "#wasm/guest/runtime.ts";
import { Breaker } from "./breaker.ts";
import { FilterStats } from "./stats.ts";

const DENIED_BODY = new TextEncoder().encode("the route's plugin failed\n");
const DENIED_HEADERS = [["content-type", "text/plain; charset=utf-8"]] as const;
const THROTTLED_BODY = new TextEncoder().encode("the tenant's plugins have used their fuel of this second\n");
const THROTTLED_HEADERS = [...DENIED_HEADERS, ["retry-after", "1"]] as const;

export abstract class WasmFilter implements Filter {
  /** `token-check@1`. */
  readonly name: string;
  readonly plugin: PluginSpec;
  readonly stats: FilterStats;
  readonly environment: GuestEnvironment;
  protected readonly tenant: TenantAccount;
  protected readonly loaded: LoadedModule;
  /** No hook finds what another left. */
  protected readonly isolates: boolean;
  /** Calls of guests are seen, not only theirs. */
  protected readonly interposed: boolean;
  readonly #interposer: Interposer | null;
  readonly #breaker: Breaker;

  constructor(plugin: PluginSpec, loaded: LoadedModule, environment: GuestEnvironment, interposer: Interposer | null) {
    this.name = environment.name;
    this.plugin = plugin;
    this.stats = new FilterStats();
    this.environment = environment;
    this.tenant = environment.tenant;
    this.loaded = loaded;
    this.isolates = environment.spec.isolation === "request";
    this.interposed = interposer?.entry !== undefined;
    this.#interposer = interposer;
    this.#breaker = new Breaker();
  }

  /** Known once there has been a guest. */
  abstract readonly hooks: number;
  abstract requestHead(exchange: Exchange, position: number): Verdict;
  abstract responseHead(exchange: Exchange, position: number): Verdict;
  abstract end(exchange: Exchange, position: number): void;
  abstract dispose(): void;

  /** What the plugin answers to a message of the admin API, now or when it has waited; null: it does not listen, or could not. */
  message(_message: Uint8Array): Uint8Array | null | Promise<Uint8Array | null> {
    return null;
  }

  /** A configured guest. Throws PenstockError when the plugin, or the tenant's quota, does not let one come up. */
  protected makeGuest(): Guest {
    if (!this.tenant.guests.take()) {
      throw wasmError("PENSTOCK_WASM_QUOTA", { detail: `tenant "${this.tenant.name}" has as many guests as it may` });
    }
    try {
      return instantiateGuest(this.loaded, this.environment, this.#interposer);
    } catch (error) {
      this.tenant.guests.give();
      throw error;
    }
  }

  /** A guest is out of use: whoever had it forgets it. Once for each that was made. */
  protected retire(): void {
    this.tenant.guests.give();
  }

  /** A hook of the guest has ended, and used so much fuel. */
  protected spent(guest: Guest, fuel: number): void {
    this.stats.fuel += fuel;
    this.tenant.spend(fuel);
    if (guest.begunMs !== 0) this.environment.services.took?.(performance.now() - guest.begunMs);
  }

  /** For a call that was not admitted: it runs later, or is answered as a fault is. */
  protected notAdmitted(admission: Admission, exchange: Exchange, run: () => Verdict): Verdict {
    const later = (): void => {
      if (exchange.ended) return;
      const verdict = run();
      if (verdict !== SUSPEND) exchange.resume(verdict);
    };
    if (admission === DEFER && this.tenant.defer(later)) return SUSPEND;
    this.stats.throttled++;
    if (this.environment.spec.onFault !== "deny") return CONTINUE;
    exchange.respond(503, THROTTLED_HEADERS, THROTTLED_BODY);
    return REPLY;
  }

  /** A configured guest, or null: the breaker is open, or none came up, which is counted. */
  protected tryMakeGuest(): Guest | null {
    if (this.#breaker.isOpen(this.environment.services.nowMs())) return null;
    try {
      return this.makeGuest();
    } catch (error) {
      if (!(error instanceof PenstockError)) throw error;
      this.recordFault({ cause: "configure", detail: error.message, offset: -1 });
      return null;
    }
  }

  /** Counts what ended a guest. `error` is null when its hook came back, but the host had ended it. */
  protected guestFaulted(guest: Guest, error: unknown): void {
    const fault = describeFault(error, guest, this.loaded.module);
    guest.fail("it faulted");
    this.retire();
    this.recordFault(fault);
  }

  protected recordFault(fault: Fault): void {
    this.stats.record(fault);
    const { services, name } = this.environment;
    const nowMs = services.nowMs();
    const opened = this.#breaker.record(nowMs);
    if (opened) this.stats.rests++;
    if (!this.environment.logs.take(nowMs)) return;
    const at = fault.offset < 0 ? "" : ` at byte ${fault.offset} of the module`;
    const rests = opened ? "; too many faults, it rests" : "";
    services.log("warn", name, `${fault.cause}: ${fault.detail}${at}${rests}`, fault.offset);
  }

  /** The route's answer for a hook that did not end well. */
  protected answerFault(exchange: Exchange): Verdict {
    if (this.environment.spec.onFault !== "deny") return CONTINUE;
    exchange.respond(503, DENIED_HEADERS, DENIED_BODY);
    return REPLY;
  }

  /** What a hook's answer means. Ends the guest when it means nothing. */
  protected verdict(guest: Guest, exchange: Exchange, action: number): Verdict {
    if (action === ACTION_CONTINUE) return CONTINUE;
    const reply = guest.pendingReply;
    if (action !== ACTION_REPLY || reply === null) {
      guest.fail(action === ACTION_REPLY ? "a hook answered REPLY without a reply" : `a hook answered ${action}`);
      return CONTINUE;
    }
    exchange.respond(reply.status, reply.headers, reply.body);
    return REPLY;
  }
}
