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
}

/** To its end. */
export function penstock(where: Where, ...args: readonly string[]): Promise<Ran> {
  const program = join(thisInstallation().root, "gateway/main/penstock.ts");
  const child = spawn(process.execPath, ["--no-warnings", program, ...args], {
    cwd: where.cwd,
    env: { ...process.env, ...where.env },
    stdio: ["ignore", "pipe", "pipe"],
    ...(where.uid === undefined ? {} : { uid: where.uid, gid: where.uid }),
  });
  let out = "";
  let err = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, out, err }));
  });
}
