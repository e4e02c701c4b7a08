/**
 * A module on its way in: bounded, validated and metered in the builder's own process, then kept. Nothing here looks
 * inside it.
 */
import { controlError } from "#core/errors/control.ts";
import { sha256Hex } from "./canonical.ts";
import type { Store, StoredModule } from "./store/store.ts";
import type { SupervisorLink } from "./supervisor-link.ts";

/** The default bound of a module, and the most a tenant's quota may raise it to. */
export const MODULE_BYTES_MAX = 4 * 2 ** 20;
export const MODULE_BYTES_CEILING = 16 * 2 ** 20;
const MEMORY_BYTES_MAX = 256 * 2 ** 20;
const BUILD_TIMEOUT_MS = 20_000;

export class Uploads {
  readonly #store: Store;
  readonly #link: SupervisorLink;

  constructor(store: Store, link: SupervisorLink) {
    this.#store = store;
    this.#link = link;
  }

  /** Throws what the builder has against it. `keep: false` only asks. `who` stands in the audit log. */
  async accept(bytes: Uint8Array, keep: boolean, who: string): Promise<StoredModule> {
    const digest = sha256Hex(bytes);
    const known = this.#store.module(digest);
    if (known !== undefined) return known;
    const limits = {
      moduleBytesMax: MODULE_BYTES_CEILING,
      memoryBytesMax: MEMORY_BYTES_MAX,
      timeoutMs: BUILD_TIMEOUT_MS,
    };
    const built = await this.#link.build(bytes, limits);
    if (!built.ok) {
      const { code, detail } = built;
      throw controlError("PENSTOCK_CONTROL_MODULE", { detail, errors: [{ pointer: "", code, detail }] });
    }
    if (keep) return this.#store.addModule(bytes, built.metered, built.facts, who);
    return { digest, meteredDigest: sha256Hex(built.metered), bytes: bytes.length, facts: built.facts, createdMs: 0 };
  }
}
