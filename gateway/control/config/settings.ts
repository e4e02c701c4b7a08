/** Settings that bound each other. */
import * as v from "valibot";
import { isRecord } from "./fields.ts";
import type { Report } from "./references.ts";
import { Settings } from "./resources.ts";

export function checkSettings(input: unknown, report: Report): void {
  const result = v.safeParse(Settings, isRecord(input) ? (input["settings"] ?? {}) : {});
  if (!result.typed) return;
  const { targetBytesMax, headBytesMax } = result.output;
  if (targetBytesMax >= headBytesMax) {
    const detail = `a target of ${targetBytesMax} bytes does not fit into a head of ${headBytesMax}`;
    report("/settings/targetBytesMax", "PENSTOCK_CONFIG_VALUE", detail);
  }
}
