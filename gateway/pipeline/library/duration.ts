/** Spans of time as scripts write them: seconds as a number, or text with its unit. */
import { libraryError } from "#core/errors/library.ts";

export type Duration = number | `${number}${"ms" | "s" | "m" | "h" | "d"}`;

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const TEXT = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;

/** In milliseconds, above 0. Throws PENSTOCK_LIBRARY_DURATION, which names the option. */
export function durationMs(option: string, span: Duration): number {
  const [, count = "", unit = ""] = typeof span === "string" ? (TEXT.exec(span) ?? []) : [];
  const ms = typeof span === "number" ? span * 1000 : Number(count) * (UNITS[unit] ?? Number.NaN);
  if (ms > 0 && Number.isFinite(ms)) return ms;
  throw libraryError("PENSTOCK_LIBRARY_DURATION", { detail: `${option} is ${JSON.stringify(span)}` });
}
