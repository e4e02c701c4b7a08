/**
 * Steering on trial: an entry with `confirmMs` is a revision that is taken back unless it is confirmed in time. Confirming
 * is a revision without the field, so it lasts and is in the history; taking back is one with what was there before.
 *
 *     declared with confirmMs ──confirm──▶ the same without it
 *               └──time is up, or control starts anew──▶ the entry of before, or none
 *
 * This makes what is declared true again. The kernel does not wait for it: an entry's lease ends with its trial.
 */
import type { ChangeRequest } from "./changes.ts";
import type { Declaration } from "./config/declaration.ts";
import { indexOf, keyOf, listOf, withList, type Item } from "./config/kinds.ts";
import type { Logger } from "./logger.ts";

const KIND = "kernel/steering";

interface Trial {
  readonly entry: string;
  /** What it took the place of. */
  readonly before: Item | undefined;
  readonly timer: NodeJS.Timeout;
}

export class Trials {
  readonly #change: (request: ChangeRequest) => Promise<unknown>;
  readonly #log: Logger;
  readonly #trials = new Map<string, Trial>();

  constructor(change: (request: ChangeRequest) => Promise<unknown>, log: Logger) {
    this.#change = change;
    this.#log = log;
  }

  /** After every revision that was put in force. */
  applied(before: Declaration, after: Declaration): void {
    const now = new Map(
      listOf(after, KIND)
        .filter(isOnTrial)
        .map((item) => [keyOf(KIND, item), item] as const),
    );
    for (const [key, { entry, timer }] of this.#trials) {
      if (entry === JSON.stringify(now.get(key))) continue;
      clearTimeout(timer);
      this.#trials.delete(key);
    }
    for (const [key, item] of now) if (!this.#trials.has(key)) this.#begin(key, item, itemOf(before, key));
  }

  #begin(key: string, item: Item, before: Item | undefined): void {
    const timer = setTimeout(() => void this.#undo(key), Number(item["confirmMs"]));
    // One trial that changes another's terms goes back to what was before both.
    const kept = before !== undefined && isOnTrial(before) ? undefined : before;
    this.#trials.set(key, { entry: JSON.stringify(item), before: kept, timer });
  }

  async #undo(key: string): Promise<void> {
    const trial = this.#trials.get(key);
    this.#trials.delete(key);
    this.#log.warn({ steering: key }, "steering was not confirmed in time and is taken back");
    await this.#takeBack(`steering ${key} was not confirmed in time`, (declaration) =>
      JSON.stringify(itemOf(declaration, key)) === trial?.entry
        ? replaced(declaration, key, trial?.before)
        : declaration,
    );
  }

  /** At start: nobody has confirmed what was on trial, and what was before it is not known any more. */
  async takeBackAll(current: Declaration): Promise<void> {
    const left = listOf(current, KIND).filter(isOnTrial);
    if (left.length === 0) return;
    await this.#takeBack("steering was not confirmed before the restart", (declaration) => {
      const rest = listOf(declaration, KIND).filter((item) => !isOnTrial(item));
      return withList(declaration, KIND, rest);
    });
  }

  async #takeBack(message: string, edit: (declaration: Declaration) => Declaration): Promise<void> {
    try {
      await this.#change({
        author: "penstock",
        who: "control",
        message,
        actor: undefined,
        edit: (declaration) => ({ declaration: edit(declaration) }),
      });
    } catch (error) {
      // It is out of force all the same: its lease has ended.
      this.#log.error({ error: error instanceof Error ? error.message : String(error) }, `${message}: still declared`);
    }
  }

  stop(): void {
    for (const { timer } of this.#trials.values()) clearTimeout(timer);
    this.#trials.clear();
  }
}

/** The declaration with the entry for good. Undefined: it is not there; the same: it was on no trial. */
export function confirmed(declaration: Declaration, key: string): Declaration | undefined {
  const item = itemOf(declaration, key);
  if (item === undefined) return undefined;
  const { confirmMs: _, ...rest } = item;
  return isOnTrial(item) ? replaced(declaration, key, rest) : declaration;
}

function isOnTrial(item: Item): boolean {
  return item["confirmMs"] !== undefined;
}

function itemOf(declaration: Declaration, key: string): Item | undefined {
  return listOf(declaration, KIND)[indexOf(declaration, KIND, key)];
}

function replaced(declaration: Declaration, key: string, item: Item | undefined): Declaration {
  const list = listOf(declaration, KIND).flatMap((each) =>
    keyOf(KIND, each) !== key ? [each] : item === undefined ? [] : [item],
  );
  return withList(declaration, KIND, list);
}
