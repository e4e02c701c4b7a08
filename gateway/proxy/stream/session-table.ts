/**
 * The UDP sessions of one listener and worker, by client: bounded, and when full the one used longest ago makes room. Those
 * that an upstream has never answered go first, whatever their age: so a flood of forged clients displaces itself before
 * it displaces anyone who is served.
 *
 *     unanswered   oldest ⇄ … ⇄ newest        answered   oldest ⇄ … ⇄ newest        rings with a head each
 */

/** A session's place: the table owns these fields. They begin as null and false. */
export interface Placed {
  readonly key: string;
  older: Placed | null;
  newer: Placed | null;
  answered: boolean;
}

class Ring implements Placed {
  readonly key = "";
  older: Placed | null = this;
  newer: Placed | null = this;
  answered = false;
}

export class SessionTable<Session extends Placed> {
  readonly #byKey = new Map<string, Session>();
  readonly #unanswered = new Ring();
  readonly #answered = new Ring();

  get size(): number {
    return this.#byKey.size;
  }

  get(key: string): Session | undefined {
    return this.#byKey.get(key);
  }

  add(session: Session): void {
    this.#byKey.set(session.key, session);
    this.#link(session);
  }

  remove(session: Session): void {
    if (this.#byKey.get(session.key) !== session) return;
    this.#byKey.delete(session.key);
    unlink(session);
  }

  /** It was used just now. */
  touch(session: Session): void {
    const ring = session.answered ? this.#answered : this.#unanswered;
    if (ring.older === session) return;
    unlink(session);
    this.#link(session);
  }

  /** Its upstream has answered it, for the first time or again. */
  answer(session: Session): void {
    if (session.answered) {
      this.touch(session);
      return;
    }
    unlink(session);
    session.answered = true;
    this.#link(session);
  }

  /** Who makes room for another; undefined when there is nobody. */
  get victim(): Session | undefined {
    const ring = this.#unanswered.newer === this.#unanswered ? this.#answered : this.#unanswered;
    return ring.newer === null ? undefined : this.#byKey.get(ring.newer.key);
  }

  /** All there are, as they are now. */
  all(): Session[] {
    return [...this.#byKey.values()];
  }

  /** The head's `older` is the newest of its ring, its `newer` the oldest: the ring closes through it. */
  #link(session: Placed): void {
    const ring = session.answered ? this.#answered : this.#unanswered;
    const newest = ring.older as Placed;
    session.older = newest;
    session.newer = ring;
    newest.newer = session;
    ring.older = session;
  }
}

function unlink(session: Placed): void {
  (session.older as Placed).newer = session.newer;
  (session.newer as Placed).older = session.older;
  session.older = null;
  session.newer = null;
}
