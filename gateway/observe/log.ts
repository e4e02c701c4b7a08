/**
 * The log of the processes that are not on the data plane: pino, synchronous (what was logged before a crash is there to
 * be read), a line an entry. JSON for machines, text for a terminal. Workers have their own writers: see access-log.ts.
 */
import { pino, type Logger } from "pino";

export type ProcessLog = Logger;
export type LogFormat = "text" | "json";

const LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LEVELS)[number];

export function isLogLevel(text: string): text is LogLevel {
  return LEVELS.includes(text as LogLevel);
}

/** `process` stands in every JSON line, as does an ISO time; `write` takes whole lines. */
export function createLog(
  process: string,
  level: LogLevel,
  format: LogFormat,
  write: (line: string) => void,
): ProcessLog {
  const options = {
    level,
    base: { process },
    messageKey: "message",
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return pino(options, { write: format === "json" ? write : (line: string) => write(textLine(line)) });
}

/** `22:44:15.891 info control: revision applied revision=1` */
function textLine(line: string): string {
  const { time, level, process, message, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const more = Object.entries(fields).map(
    ([name, value]) => ` ${name}=${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  return `${String(time).slice(11, 23)} ${String(level)} ${String(process)}: ${String(message)}${more.join("")}\n`;
}
