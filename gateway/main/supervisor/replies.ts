/** Answers that are awaited from another process, by number: each comes, times out, or fails because the process died. */

/** The other side is silent: alive perhaps, but of no use. */
export class NoAnswerError extends Error {
  override readonly name = "NoAnswerError";
}

interface Waiting<T> {
  readonly resolve: (reply: T) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

export class Replies<T> {
  readonly #waiting = new Map<number, Waiting<T>>();

  /** Rejects with a NoAnswerError when there is no answer within `timeoutMs`. */
  wait(id: number, timeoutMs: number, what: string): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new NoAnswerError(`${what}: no answer in ${timeoutMs} ms`));
      }, timeoutMs);
      this.#waiting.set(id, { resolve, reject, timer });
    });
  }

  /** The other side has shown that it is at work: all that wait do so anew. */
  renew(): void {
    for (const { timer } of this.#waiting.values()) timer.refresh();
  }

  /** False when nobody waits: the answer came too late. */
  settle(id: number, reply: T): boolean {
    const waiting = this.#take(id);
    waiting?.resolve(reply);
    return waiting !== undefined;
  }

  fail(id: number, error: Error): void {
    this.#take(id)?.reject(error);
  }

  failAll(error: Error): void {
    for (const id of this.#waiting.keys()) this.fail(id, error);
  }

  #take(id: number): Waiting<T> | undefined {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return undefined;
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    return waiting;
  }
}

let last = 0;

/** A number no other request of this process has. */
export function requestId(): number {
  last++;
  return last;
}
