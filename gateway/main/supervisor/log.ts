/** The supervisor's own words: one line each, to standard error, with the time; JSON when asked for. */

export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogSink = (level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>) => void;

const ORDER: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

export function logTo(write: (line: string) => void, least: LogLevel, format: "text" | "json"): LogSink {
  return (level, message, fields = {}) => {
    if (ORDER[level] < ORDER[least]) return;
    const time = new Date().toISOString();
    if (format === "json") {
      write(`${JSON.stringify({ time, level, process: "supervisor", message, ...fields })}\n`);
      return;
    }
    const more = Object.entries(fields).map(
      ([name, value]) => ` ${name}=${typeof value === "string" ? value : JSON.stringify(value)}`,
    );
    write(`${time.slice(11, 23)} ${level} ${message}${more.join("")}\n`);
  };
}
