/** What control asks of a log. Structured fields first, then the sentence. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

const LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LEVELS)[number];

export function isLogLevel(text: string): text is LogLevel {
  return LEVELS.includes(text as LogLevel);
}

/** JSON lines, from `level` up. */
export function lineLogger(level: LogLevel, write: (line: string) => void): Logger {
  const from = LEVELS.indexOf(level);
  const method = (own: LogLevel) => {
    if (LEVELS.indexOf(own) < from) return () => undefined;
    return (fields: object, message: string) => {
      write(`${JSON.stringify({ level: own, time: new Date().toISOString(), room: "control", message, ...fields })}\n`);
    };
  };
  return { debug: method("debug"), info: method("info"), warn: method("warn"), error: method("error") };
}
