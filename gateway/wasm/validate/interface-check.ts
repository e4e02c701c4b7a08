/** What an interface says of a module that follows it. */
import type { ModuleKind } from "./kind.ts";
import type { ModuleShape } from "./module.ts";

export interface ModuleInterface {
  readonly kind: ModuleKind;
  /** The interface and its version, `penstock 1`. */
  readonly abi: string;
  /** Names of the host calls that it imports. */
  readonly imports: readonly string[];
  /** Names of the hooks that it exports. */
  readonly hooks: readonly string[];
  /** It can be suspended: it imports a call that does so. */
  readonly suspends: boolean;
}

/** One kind of guest, as the validator knows it. Throws PenstockError for a module that does not follow it. */
export interface InterfaceCheck {
  check(shape: ModuleShape): Omit<ModuleInterface, "kind">;
}
