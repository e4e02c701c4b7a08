/** The command line as a process of its own, as a person at a shell has it. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { thisInstallation } from "#main/confine/installation.ts";

export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface Where {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly uid?: number;
  /** What stands on its standard input; absent: nothing. */
  readonly stdin?: string;
}

export interface Running {
  /** What it has said so far. */
  readonly out: string;
  readonly ended: Promise<Ran>;
  /** As Ctrl-C does. */
  interrupt(): void;
}

/** To its end. */
export function penstock(where: Where, ...args: readonly string[]): Promise<Ran> {
  return startPenstock(where, ...args).ended;
}

/** On a terminal of so many columns, to its end: what it writes there, carriage returns left out. */
export async function penstockOnTerminal(columns: number, where: Where, ...args: readonly string[]): Promise<Ran> {
  const command = [...PROGRAM, ...args].map((word) => `'${word}'`).join(" ");
  const child = start(where, "script", "-qec", `stty cols ${columns}; exec ${command}`, "/dev/null");
  const ran = await child.ended;
  return { ...ran, out: ran.out.replaceAll("\r", "") };
}

/** A verb that goes on until it is interrupted: whoever starts it does that. */
export function startPenstock(where: Where, ...args: readonly string[]): Running {
  return start(where, ...PROGRAM, ...args);
}

const PROGRAM = [process.execPath, "--no-warnings", join(thisInstallation().root, "gateway/main/penstock.ts")] as const;

function start(where: Where, command: string, ...args: readonly string[]): Running {
  const child = spawn(command, args, {
    cwd: where.cwd,
    env: { ...process.env, ...where.env },
    stdio: ["pipe", "pipe", "pipe"],
    ...(where.uid === undefined ? {} : { uid: where.uid, gid: where.uid }),
  });
  // Who does not read it need not.
  child.stdin.on("error", () => undefined).end(where.stdin);
  let out = "";
  let err = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
  const ended = new Promise<Ran>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, out, err }));
  });
  return {
    get out() {
      return out;
    },
    ended,
    interrupt: () => void child.kill("SIGINT"),
  };
}
