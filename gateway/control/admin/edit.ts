/** What all handlers that change the declaration share: query, answer, and where findings point. */
import * as v from "valibot";
import { PenstockError, type Finding } from "#core/errors.ts";
import { controlError } from "#core/errors/control.ts";
import { refusal } from "#control/config/check.ts";
import type { ChangeResult } from "#control/changes.ts";
import { flag, type Answer, type Call, type QuerySchema } from "./route.ts";

export const CHANGE_QUERY: QuerySchema = { dryRun: flag, wait: flag };

export const DifferenceSchema = v.object({
  op: v.picklist(["add", "remove", "change"]),
  kind: v.string(),
  name: v.string(),
  fields: v.array(v.object({ pointer: v.string(), before: v.optional(v.unknown()), after: v.optional(v.unknown()) })),
});

export const ChangeSchema = v.object({
  revision: v.number(),
  state: v.picklist(["applied", "pending", "unchanged", "dry-run"]),
  diff: v.array(DifferenceSchema),
  notes: v.array(v.string()),
});

export function optionsOf({ query }: Call): { dryRun: boolean; wait: boolean } {
  return { dryRun: query.get("dryRun") === "true", wait: query.get("wait") !== "false" };
}

/** The change itself as the body: for whole declarations, deletions, roll-backs and dry runs. */
export function changeAnswer(result: ChangeResult, etag?: string): Answer {
  const { revision, state, diff, notes } = result;
  const answer = {
    status: state === "pending" ? 202 : 200,
    body: { revision, state, diff, notes },
    headers: revisionHeader(result),
  };
  return etag === undefined ? answer : { ...answer, etag };
}

export function revisionHeader(result: ChangeResult): Record<string, string> {
  return { "penstock-revision": String(result.revision) };
}

/** Findings are about the whole declaration; of one resource's body, they point into that body. */
export function withinBody(error: unknown, place: string): unknown {
  if (!(error instanceof PenstockError) || error.errors.length === 0 || !error.code.startsWith("PENSTOCK_CONFIG_"))
    return error;
  return refusal(error.errors.map((one) => relative(one, place)));
}

function relative(finding: Finding, place: string): Finding {
  if (finding.pointer === place) return { ...finding, pointer: "" };
  if (finding.pointer.startsWith(`${place}/`)) return { ...finding, pointer: finding.pointer.slice(place.length) };
  return { ...finding, pointer: "", detail: `at ${finding.pointer} of the declaration: ${finding.detail}` };
}

/** A deletion is refused because something refers to what it deletes. */
export function stillInUse(error: unknown): unknown {
  if (!(error instanceof PenstockError) || error.code !== "PENSTOCK_CONFIG_INVALID") return error;
  if (!error.errors.some((one) => one.code === "PENSTOCK_CONFIG_REFERENCE")) return error;
  return controlError("PENSTOCK_CONTROL_IN_USE", { detail: error.errors[0]?.detail ?? "", errors: error.errors });
}
