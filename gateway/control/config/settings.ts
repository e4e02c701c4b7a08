/** Settings that bound each other. */
import * as v from "valibot";
import { isRecord } from "./fields.ts";
import type { Report } from "./references.ts";
import { TEMPLATE_FIELDS, unknownFields } from "#observe/access-template.ts";
import { Settings } from "./resources.ts";
import { suggestion } from "./suggest.ts";

function checkTemplate(
  { accessLog, accessLogTemplate: template }: v.InferOutput<typeof Settings>,
  report: Report,
): void {
  if (accessLog === "template" && template === undefined) {
    report(
      "/settings/accessLogTemplate",
      "PENSTOCK_CONFIG_REQUIRED",
      "`accessLog: template` needs the template of a line",
    );
  }
  const [unknown] = unknownFields(template ?? "");
  if (unknown === undefined) return;
  const meant = suggestion(unknown, TEMPLATE_FIELDS);
  const more = meant === undefined ? `there are ${TEMPLATE_FIELDS.join(", ")}` : `did you mean "${meant}"?`;
  report("/settings/accessLogTemplate", "PENSTOCK_CONFIG_VALUE", `a line has no field "${unknown}"; ${more}`);
}

export function checkSettings(input: unknown, report: Report): void {
  const result = v.safeParse(Settings, isRecord(input) ? (input["settings"] ?? {}) : {});
  if (!result.typed) return;
  const { targetBytesMax, headBytesMax } = result.output;
  checkTemplate(result.output, report);
  if (targetBytesMax >= headBytesMax) {
    const detail = `a target of ${targetBytesMax} bytes does not fit into a head of ${headBytesMax}`;
    report("/settings/targetBytesMax", "PENSTOCK_CONFIG_VALUE", detail);
  }
}
