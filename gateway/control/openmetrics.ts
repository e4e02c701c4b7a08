/** OpenMetrics 1.0 text. Names and labels come from our own processes, values of labels from declarations: escaped. */
import type { MetricFamily } from "./gateway-status.ts";

export const OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8";

export function openMetrics(families: readonly MetricFamily[]): string {
  const lines: string[] = [];
  for (const { name, type, help, samples } of families) {
    lines.push(`# TYPE ${name} ${type}`, `# HELP ${name} ${escape(help)}`);
    const sample = type === "counter" ? `${name}_total` : name;
    for (const { suffix = "", labels, value } of samples) {
      lines.push(`${sample}${suffix}${labelSet(labels)} ${number(value)}`);
    }
  }
  lines.push("# EOF", "");
  return lines.join("\n");
}

function labelSet(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}="${escape(value).replaceAll('"', '\\"')}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escape(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function number(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  return String(value);
}
