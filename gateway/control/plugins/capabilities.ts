/**
 * What a version of a plugin asks for, and how that differs from the version before it: who uploads it, and who puts it on a
 * route, sees at once when more is wanted. Asking gives nothing: a route's `allow` does.
 */
import type { ModuleFacts } from "#control/protocol.ts";

export interface CapabilityDiff {
  /** The version that it is compared with. */
  readonly than: string;
  readonly more: string[];
  readonly less: string[];
}

/** Undefined when nothing differs, or nothing is known of the earlier one. */
export function capabilityDiff(
  now: ModuleFacts,
  before: { readonly version: string; readonly facts: ModuleFacts },
): CapabilityDiff | undefined {
  const [asked, had] = [now.capabilities, before.facts.capabilities];
  if (asked === undefined || had === undefined) return undefined;
  const more = asked.filter((one) => !had.includes(one));
  const less = had.filter((one) => !asked.includes(one));
  return more.length + less.length === 0 ? undefined : { than: before.version, more, less };
}
