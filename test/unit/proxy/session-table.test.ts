import fc from "fast-check";
import { expect, test } from "vitest";
import { type Placed, SessionTable } from "#proxy/stream/session-table.ts";

class Session implements Placed {
  readonly key: string;
  older: Placed | null = null;
  newer: Placed | null = null;
  answered = false;

  constructor(key: string) {
    this.key = key;
  }
}

/** The same by two arrays, the oldest first. */
class Model {
  unanswered: string[] = [];
  answered: string[] = [];

  has(key: string): boolean {
    return this.unanswered.includes(key) || this.answered.includes(key);
  }
  remove(key: string): void {
    this.unanswered = this.unanswered.filter((one) => one !== key);
    this.answered = this.answered.filter((one) => one !== key);
  }
  touch(key: string): void {
    const list = this.answered.includes(key) ? this.answered : this.unanswered;
    list.splice(list.indexOf(key), 1);
    list.push(key);
  }
  get victim(): string | undefined {
    return this.unanswered[0] ?? this.answered[0];
  }
}

const step = fc.tuple(
  fc.constantFrom("add", "touch", "answer", "remove", "evict"),
  fc.constantFrom("a", "b", "c", "d"),
);

test("whatever happens, the one to go is the one of the model", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const table = new SessionTable<Session>();
      const model = new Model();
      for (const [what, key] of steps) {
        const session = table.get(key);
        expect(session !== undefined).toBe(model.has(key));
        if (what === "add" && session === undefined) {
          table.add(new Session(key));
          model.unanswered.push(key);
        } else if (what === "touch" && session !== undefined) {
          table.touch(session);
          model.touch(key);
        } else if (what === "answer" && session !== undefined) {
          table.answer(session);
          model.remove(key);
          model.answered.push(key);
        } else if (what === "remove" && session !== undefined) {
          table.remove(session);
          model.remove(key);
        } else if (what === "evict" && table.victim !== undefined) {
          model.remove(table.victim.key);
          table.remove(table.victim);
        }
        expect(table.victim?.key).toBe(model.victim);
        expect(table.size).toBe(model.unanswered.length + model.answered.length);
      }
    }),
  );
});
