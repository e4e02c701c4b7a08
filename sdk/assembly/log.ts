// Lines in the gateway's log, under the plugin's name. The host keeps a budget; what is over it is counted and dropped.
import { write_log } from "./host";
import { encode, encoded, encodedLength } from "./text";

/** Longer lines are cut. */
const LINE_MAX: i32 = 1024;

function write(level: i32, message: string): void {
  encode(message.length > LINE_MAX ? message.substring(0, LINE_MAX) : message);
  write_log(level, encoded, encodedLength);
}

export namespace log {
  export function debug(message: string): void {
    write(0, message);
  }
  export function info(message: string): void {
    write(1, message);
  }
  export function warn(message: string): void {
    write(2, message);
  }
  export function error(message: string): void {
    write(3, message);
  }
}

/** What `console` is in a plugin: the same lines, of one text each. */
export namespace console {
  export function log(message: string): void {
    write(1, message);
  }
  export function debug(message: string): void {
    write(0, message);
  }
  export function info(message: string): void {
    write(1, message);
  }
  export function warn(message: string): void {
    write(2, message);
  }
  export function error(message: string): void {
    write(3, message);
  }
}

/** A failed assertion, an uncaught exception: told in the log, then a trap. The builder makes it the `abort` of plugins. */
export function onAbort(message: string | null, file: string | null, line: u32, column: u32): void {
  const what = message === null ? "aborted" : message;
  const where = file === null ? "" : " (" + file + ":" + line.toString() + ":" + column.toString() + ")";
  log.error(what + where);
  unreachable();
}
