/** Where trailers go that a guest has set before the body is over: behind what comes, or behind its own reply. */
import { PassingStage, type Trailing } from "#pipeline/body.ts";
import type { GuestEnvironment } from "#wasm/guest/environment.ts";
import { applyEdit } from "./calls/heads.ts";
import type { HeaderEdit } from "./handler.ts";

/** Edits of trailers, as if they had been made when the body was over. What can't be sent has no effect. */
export function editTrailers(environment: GuestEnvironment, trailing: Trailing, edits: readonly HeaderEdit[]): void {
  for (const edit of edits) {
    const trailers = edit.value === null ? trailing.trailers : trailing.makeTrailers();
    if (trailers !== null) applyEdit(environment, trailers, edit);
  }
}

/** A body that passes, and the trailers behind it. */
export class TrailerStage extends PassingStage {
  readonly #environment: GuestEnvironment;
  readonly #edits: readonly HeaderEdit[];

  constructor(environment: GuestEnvironment, edits: readonly HeaderEdit[]) {
    super();
    this.#environment = environment;
    this.#edits = edits;
  }

  override end(): void {
    editTrailers(this.#environment, this.link, this.#edits);
    this.link.end();
  }
}

/** A reply's body, of a length that nobody is told. */
export class TrailingReply extends PassingStage {
  readonly #environment: GuestEnvironment;
  readonly #body: Uint8Array;
  readonly #edits: readonly HeaderEdit[];
  #begun = false;

  constructor(environment: GuestEnvironment, body: Uint8Array, edits: readonly HeaderEdit[]) {
    super();
    this.#environment = environment;
    this.#body = body;
    this.#edits = edits;
  }

  override drained(): void {
    if (this.#begun) return;
    this.#begun = true;
    this.link.write(this.#body);
    editTrailers(this.#environment, this.link, this.#edits);
    this.link.end();
  }
}
