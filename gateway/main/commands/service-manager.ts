/**
 * What a service manager is told, when one asks to be (sd_notify(3), NOTIFY_SOCKET): that traffic can come, that the
 * declaration is being read again, that it ends; and, where it watches (WATCHDOG_USEC), that a worker serves. Without one
 * nothing happens. A manager that does not hear is not worth an error: it will see for itself.
 */
import type { LogSink } from "#main/supervisor/log.ts";
import { sendDatagram } from "#sys/notify.ts";

export type Send = (path: string, text: string) => void;

export class ServiceManager {
  readonly #path: string | undefined;
  readonly #watchdogMs: number;
  readonly #log: LogSink;
  readonly #send: Send;
  #timer: NodeJS.Timeout | null = null;
  /** Nothing said here is about the service any more. */
  #over = false;

  constructor(env: Readonly<Record<string, string | undefined>>, log: LogSink, send: Send = sendDatagram) {
    this.#path = env["NOTIFY_SOCKET"];
    this.#watchdogMs = watchdogMs(env);
    this.#log = log;
    this.#send = send;
  }

  /** `serving`: asked twice in each period that the manager grants; silence makes it start the gateway anew. */
  ready(status: string, serving: () => boolean): void {
    this.#tell(`READY=1\nSTATUS=${status}`);
    if (this.#path === undefined || this.#watchdogMs === 0) return;
    this.#timer = setInterval(() => {
      if (serving()) this.#tell("WATCHDOG=1");
    }, this.#watchdogMs / 2);
  }

  /** Followed by `reloaded`. The time is CLOCK_MONOTONIC's, in microseconds. */
  reloading(): void {
    this.#tell(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  reloaded(status: string): void {
    this.#tell(`READY=1\nSTATUS=${status}`);
  }

  /** Another process is the service from now on: told before that one speaks for itself, or it would not be heard. */
  handedTo(pid: number): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#tell(`MAINPID=${pid}\nREADY=1`);
    this.#over = true;
  }

  stopping(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#tell("STOPPING=1\nSTATUS=draining");
  }

  #tell(text: string): void {
    if (this.#path === undefined || this.#over) return;
    try {
      this.#send(this.#path, text);
    } catch (error) {
      this.#log("warn", `the service manager was not told: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

/** 0: nobody watches, or somebody else is watched (WATCHDOG_PID). */
function watchdogMs(env: Readonly<Record<string, string | undefined>>): number {
  const { WATCHDOG_USEC: period, WATCHDOG_PID: pid } = env;
  if (period === undefined || !/^[1-9]\d*$/.test(period)) return 0;
  return pid === undefined || Number(pid) === process.pid ? Number(period) / 1000 : 0;
}
