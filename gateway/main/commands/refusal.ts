/** Why a declaration was refused, for people: every finding with its place, then the one line that sums up. */
import type { DeclaredReply } from "#control/protocol.ts";

export function refusal({ findings = [], error, code }: DeclaredReply): string[] {
  const lines = findings.map(
    (one) => `${one.at ?? one.pointer}: ${one.detail} (${one.code}${one.at === undefined ? "" : ` at ${one.pointer}`})`,
  );
  return [...lines, `refused: ${error ?? "no reason given"}${code === undefined ? "" : ` (${code})`}`];
}
