/**
 * Every change of what the gateway does goes through here, one at a time:
 *
 *     edit ─▶ check ─▶ compile ─▶ keep as pending ─▶ supervisor: all prepare, then all commit ─▶ current, last good
 *               │                                        │
 *               └ refused: nothing kept                  └ refused: kept as refused, the one before goes on serving
 *
 * A revision becomes the current one only after the gateway runs it. Should control die in between, the next start gives
 * the workers the current one again: what was never acknowledged to anyone is undone.
 */
import { controlError } from "#core/errors/control.ts";
import { PenstockError, type Finding } from "#core/errors.ts";
import type { Snapshot } from "#snapshot/snapshot.ts";
import { digestOf } from "./canonical.ts";
import { agesAfter, compile } from "./compile.ts";
import { checkDeclaration, refusal, type CheckContext } from "./config/check.ts";
import type { Declaration, Resolved } from "./config/declaration.ts";
import type { Verified } from "./config/verified.ts";
import { keyContext, withoutKeys } from "./private-keys.ts";
import { withUploaded } from "./config/module-files.ts";
import { diff, type Difference } from "./diff.ts";
import { KnownSpecs } from "./known-specs.ts";
import type { Logger } from "./logger.ts";
import type { AppliedReply } from "./protocol.ts";
import { withoutValues, type Seal } from "./secret-values.ts";
import { sharing } from "./sharing.ts";
import { LastGood } from "./store/last-good.ts";
import type { KeptSecret } from "./store/secrets.ts";
import type { RevisionContent, Store } from "./store/store.ts";
import type { SupervisorLink } from "./supervisor-link.ts";

const EMPTY: RevisionContent = { declaration: {}, ages: [] };

export interface ChangeRequest {
  readonly author: string;
  /** As the audit log names them. */
  readonly who: string;
  readonly message: string;
  /** The tenant whose token asks; undefined: an operator. */
  readonly actor: string | undefined;
  /** Check and compare, and change nothing. Modules may be missing. */
  readonly dryRun?: boolean;
  /** Answer once the gateway has answered; false: once the revision is pending. */
  readonly wait?: boolean;
  /** What it shall be, from what it is. Runs while no other change can: preconditions are checked here, by throwing. */
  edit(current: Declaration): Edited;
}

export interface Edited {
  /** Unchecked: whatever it is, the check that follows says what is wrong with it. */
  readonly declaration: Declaration;
  /** Of an old revision that is restored; left out: those of the current one. */
  readonly ages?: readonly string[];
}

export interface ChangeResult {
  /** The revision in force afterwards, or that is pending; 0: none yet. */
  readonly revision: number;
  readonly state: "applied" | "pending" | "unchanged" | "dry-run";
  readonly diff: readonly Difference[];
  readonly declaration: Declaration;
  /** What the kernel part had to say. */
  readonly notes: readonly string[];
}

/** Told of every revision that was put in force since the start. */
export type Applied = (before: Declaration, after: Declaration) => void;

export class Changes {
  readonly #store: Store;
  readonly #link: SupervisorLink;
  readonly #log: Logger;
  readonly #lastGood: LastGood;
  /** Read once, since whoever reads a route asks for it; undefined: not yet, or there is none. */
  #current: { readonly revision: number; readonly content: RevisionContent } | undefined;
  readonly #knownSpecs = new KnownSpecs();
  #verified: Verified | undefined;
  /** The change under way; the next one starts when it settles. */
  #tail: Promise<unknown> = Promise.resolve();

  onApplied: Applied = () => {};

  constructor(store: Store, link: SupervisorLink, log: Logger, dataDir: string) {
    this.#store = store;
    this.#link = link;
    this.#log = log;
    this.#lastGood = new LastGood(dataDir, (error, { revision }) =>
      log.error({ revision, ...logged(error) }, "the last good snapshot could not be written"),
    );
  }

  current(): { readonly revision: number; readonly content: RevisionContent } {
    if (this.#current !== undefined) return this.#current;
    const current = this.#store.current();
    if (current === undefined) return { revision: 0, content: EMPTY };
    this.#current = { revision: current.number, content: current.content };
    return this.#current;
  }

  /** Gives the workers the current revision, at start. False: there is none, or it was refused (and logged). */
  boot(): Promise<boolean> {
    return this.#alone(async () => {
      const { revision, content } = this.current();
      if (revision === 0) return false;
      try {
        // Checked when it was new; what checks it now may be stricter, and then says so.
        const resolved = this.#check(content.declaration, undefined, true, {});
        const snapshot = this.#compile(resolved, content.ages, revision);
        const reply = await this.#link.apply(snapshot);
        if (!reply.ok) throw refused(reply);
        this.#lastGood.keep(snapshot);
        return true;
      } catch (error) {
        this.#log.error({ revision, ...logged(error) }, "the current revision was refused at start");
        return false;
      }
    });
  }

  async change(request: ChangeRequest): Promise<ChangeResult> {
    const { promise: pending, resolve } = Promise.withResolvers<ChangeResult>();
    const done = this.#alone(() => this.#change(request, resolve));
    if (request.wait !== false) return done;
    // Refused later, it is in the revision's state; refused before it was pending, the caller is told.
    return Promise.race([pending, done]);
  }

  async #change(request: ChangeRequest, isPending: (result: ChangeResult) => void): Promise<ChangeResult> {
    const before = this.current();
    const { declaration: edited, ages: restored } = request.edit(before.content.declaration);
    const uploaded = sharing(before.content.declaration, withUploaded(edited, before.content.declaration));
    const keys = new Set<string>();
    const withoutAnyKey = await withoutKeys(uploaded, {
      keep: async (owner, digest, key) => {
        keys.add(`${owner} ${digest}`);
        if (request.dryRun !== true) await this.#keepKey(owner, digest, key, request.who);
      },
    });
    const seal: Seal = (secret, context) => this.#link.seal(secret, context);
    const { declaration, given } = await withoutValues(withoutAnyKey, before.content.declaration, seal);
    const kept = this.#keptContext(keys, given, before.content.declaration);
    const resolved = this.#check(declaration, request.actor, request.dryRun !== true, kept);
    const differences = diff(before.content.declaration, declaration);
    const sameRoutes = restored === undefined && !differences.some(isOfRouteList);
    const ages = sameRoutes ? before.content.ages : agesAfter(restored ?? before.content.ages, resolved.routes);
    const content: RevisionContent = { declaration, ages };
    const result = { diff: differences, declaration, notes: [] };
    if (request.dryRun === true) return { ...result, revision: before.revision, state: "dry-run" };
    if (before.revision !== 0 && digestOf(content) === digestOf(before.content)) {
      return { ...result, revision: before.revision, state: "unchanged" };
    }
    for (const secret of given) this.#store.secrets.keep(secret);
    const { number } = this.#store.begin({ content, author: request.author, message: request.message });
    isPending({ ...result, revision: number, state: "pending" });
    try {
      const snapshot = this.#compile(resolved, ages, number);
      const reply = await this.#link.apply(snapshot);
      if (!reply.ok) throw refused(reply);
      this.#store.applied(number, request.who);
      this.#current = { revision: number, content };
      this.#lastGood.keep(snapshot);
      this.#log.info({ revision: number, author: request.author }, "revision applied");
      this.onApplied(before.content.declaration, declaration);
      return { ...result, revision: number, state: "applied", notes: reply.kernel?.notes ?? [] };
    } catch (error) {
      const reason = error instanceof Error ? reasonOf(error) : String(error);
      this.#store.refused(number, reason, request.who);
      this.#log.warn({ revision: number, ...logged(error) }, "revision refused");
      throw error;
    }
  }

  /** `keys`, as owner and digest, and `secrets` came with the change; of a dry run they are not kept. */
  #keptContext(
    keys: ReadonlySet<string>,
    secrets: readonly KeptSecret[],
    before: Declaration,
  ): Required<Pick<CheckContext, "tls" | "isKept">> {
    const inForce = new Set((before.certificates ?? []).map((one) => one.certificate));
    const given = new Set(secrets.map(({ fingerprint }) => fingerprint));
    return {
      tls: {
        hasKey: (owner, digest) =>
          keys.has(`${owner} ${digest}`) || this.#store.privateKey(owner, digest) !== undefined,
        isInForce: (certificate) => inForce.has(certificate),
        nowMs: Date.now(),
      },
      isKept: (secret) => given.has(secret.fingerprint) || this.#store.secrets.sealed(secret) !== undefined,
    };
  }

  async #keepKey(owner: string, digest: string, key: string, who: string): Promise<void> {
    // The same key again is the same key: another seal of it would be another snapshot.
    if (this.#store.privateKey(owner, digest) !== undefined) return;
    const { sealed } = await this.#link.seal(Buffer.from(key), keyContext(digest));
    this.#store.addPrivateKey(owner, digest, sealed, who);
  }

  #check(
    declaration: Declaration,
    actor: string | undefined,
    modulesRequired: boolean,
    kept: Pick<CheckContext, "tls" | "isKept">,
  ): Resolved {
    const moduleBytes = (digest: string) => this.#store.module(digest)?.bytes;
    const checked = checkDeclaration(declaration, {
      actor,
      modulesRequired,
      moduleBytes,
      ...kept,
      ...(this.#verified === undefined ? {} : { verified: this.#verified }),
    });
    if (!checked.ok) throw refusal(checked.findings);
    this.#verified = checked.verified;
    return checked.resolved;
  }

  #compile(resolved: Resolved, ages: readonly string[], revision: number): Snapshot {
    return compile(resolved, {
      revision,
      ages,
      knownSpecs: this.#knownSpecs,
      meteredDigest: (digest) => {
        const module = this.#store.module(digest);
        if (module === undefined)
          throw controlError("PENSTOCK_CONTROL_INTERNAL", { detail: `module ${digest} is gone` });
        return module.meteredDigest;
      },
      abiOf: (digest) => this.#store.module(digest)?.facts.abi ?? "",
      sealedKey: (owner, digest) => {
        const sealed = this.#store.privateKey(owner, digest);
        if (sealed === undefined)
          throw controlError("PENSTOCK_CONTROL_INTERNAL", { detail: `private key ${digest} is gone` });
        return sealed;
      },
      sealedSecret: (secret) => {
        const sealed = this.#store.secrets.sealed(secret);
        if (sealed === undefined)
          throw controlError("PENSTOCK_CONTROL_INTERNAL", { detail: `the value of secret ${secret.name} is gone` });
        return sealed;
      },
    });
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#tail.then(work);
    // Who asked for it gets its failure; the queue goes on.
    this.#tail = run.catch(() => undefined);
    return run;
  }

  /** Resolves when no change is under way, and the last is written wherever it belongs. */
  async idle(): Promise<void> {
    await this.#tail;
    await this.#lastGood.flush();
  }
}

/** A route has come or gone. */
function isOfRouteList({ kind, op }: Difference): boolean {
  return kind === "routes" && op !== "change";
}

function refused(reply: AppliedReply): PenstockError {
  const errors: Finding[] = [];
  for (const { worker, ok, error } of reply.results) {
    if (!ok)
      errors.push({
        pointer: "",
        code: "PENSTOCK_CONTROL_APPLY_REFUSED",
        detail: `worker ${worker}: ${error ?? "no reason given"}`,
      });
  }
  if (reply.refusal !== undefined) {
    const { pointer, error } = reply.refusal;
    errors.push({ pointer, code: "PENSTOCK_CONTROL_APPLY_REFUSED", detail: error });
  }
  if (reply.kernel !== undefined && !reply.kernel.ok) {
    const detail = `kernel: ${reply.kernel.error ?? "no reason given"}`;
    errors.push({ pointer: "/kernel", code: "PENSTOCK_CONTROL_APPLY_REFUSED", detail });
  }
  const detail = errors[0]?.detail ?? "no reason given";
  return controlError("PENSTOCK_CONTROL_APPLY_REFUSED", { detail, errors });
}

function reasonOf(error: Error): string {
  if (error instanceof PenstockError && error.errors.length > 0)
    return error.errors.map((one) => one.detail).join("; ");
  return error.message;
}

function logged(error: unknown): object {
  if (error instanceof PenstockError) return { code: error.code, error: reasonOf(error) };
  return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}
