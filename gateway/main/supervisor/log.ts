/** The supervisor's own words: the sentence first, since most have no fields. */
import { createLog, type LogFormat, type LogLevel } from "#observe/log.ts";

export type LogSink = (level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>) => void;

export function logTo(write: (line: string) => void, least: LogLevel, format: LogFormat): LogSink {
  const log = createLog("supervisor", least, format, write);
  return (level, message, fields = {}) => {
    log[level](fields, message);
  };
}
