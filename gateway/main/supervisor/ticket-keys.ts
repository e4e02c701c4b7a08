/**
 * Keys of session tickets, the same in all workers, made here and kept in memory only. Each seals for an hour and opens for two more,
 * which is as long as a session lives; then tickets under it are worth nothing to whoever might get hold of it.
 */
import { randomBytes } from "node:crypto";
import { TICKET_KEY_BYTES } from "#sys/openssl-tickets.ts";

const ROTATION_MS = 3_600_000;
const KEYS_MAX = 3;

export class TicketKeys {
  #keys: readonly Uint8Array[];
  readonly #timer: NodeJS.Timeout;

  /** `changed`: workers must be told. `inherited`: of the gateway before, so that its clients resume their sessions here. */
  constructor(changed: (keys: readonly Uint8Array[]) => void, inherited: readonly Uint8Array[] = []) {
    this.#keys = inherited.length > 0 ? inherited : [randomBytes(TICKET_KEY_BYTES)];
    this.#timer = setInterval(() => {
      this.#keys = [randomBytes(TICKET_KEY_BYTES), ...this.#keys].slice(0, KEYS_MAX);
      changed(this.#keys);
    }, ROTATION_MS);
    this.#timer.unref();
  }

  /** The one that seals first. */
  get all(): readonly Uint8Array[] {
    return this.#keys;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
