import { write } from "penstock:plugin/log@1.0.0";

/** Lines of the gateway's log, within the tenant's budget. `console.log` writes there too. */
export const log = {
  debug: (text: string): void => write("debug", text),
  info: (text: string): void => write("info", text),
  warn: (text: string): void => write("warn", text),
  error: (text: string): void => write("error", text),
};
