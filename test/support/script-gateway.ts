/** A script of `plugins/scripts`, copied, its addresses replaced, and run by a gateway of its own. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startGateway, type Gateway } from "./gateway.ts";

export interface ScriptGateway {
  readonly gateway: Gateway;
  /** What the script listens on. */
  port(address?: string): number;
  stop(): Promise<void>;
}

/** `replace`: text for text, in all of the script's `.ts` and `.yaml` files that have it. What listens is made to end with port 0. */
export async function startScript(
  name: string,
  replace: Readonly<Record<string, string>>,
  workers = 1,
): Promise<ScriptGateway> {
  const folder = mkdtempSync(join(tmpdir(), `penstock-${name}-`));
  cpSync(join(import.meta.dirname, "../../plugins/scripts", name), folder, { recursive: true });
  for (const file of readdirSync(folder).filter((one) => /\.(?:ts|yaml)$/.test(one))) {
    const path = join(folder, file);
    const text = readFileSync(path, "utf8");
    writeFileSync(
      path,
      Object.entries(replace).reduce((all, [from, to]) => all.replaceAll(from, to), text),
    );
  }
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  const gateway = await startGateway({
    workers,
    args: ["--script", join(folder, "main.ts")],
    timeoutMs: 60_000,
  }).catch((error: unknown) => {
    remove();
    throw error;
  });
  return {
    gateway,
    port: (address = "127.0.0.1:0") => gateway.port(`script ${address}`),
    stop: async () => {
      await gateway.stop();
      remove();
    },
  };
}
