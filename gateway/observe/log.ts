/**
 * The log of the processes that are not on the data plane: pino, JSON lines, synchronous (what was logged before a crash
 * is there to be read). Workers have their own writers: see access-log.ts.
 */
import { pino, type Logger } from "pino";

export type ProcessLog = Logger;

/** `process` stands in every line, as does an ISO time; `write` takes whole lines. */
export function createLog(process: string, level: string, write: (line: string) => void): ProcessLog {
  const options = {
    level,
    base: { process },
    messageKey: "message",
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return pino(options, { write });
}
