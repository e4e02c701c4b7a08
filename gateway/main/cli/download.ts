/** An answer of the admin API, into a file as it comes. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { basename } from "node:path";
import { cliError } from "#core/errors/cli.ts";
import type { Client } from "./client.ts";
import type { Output } from "./verb.ts";

/** Beside its place first: a file of that name is whole. Answers its size. */
export async function download(client: Client, from: string, path: string, out: Output): Promise<number> {
  const partial = `${path}.partial`;
  const fd = openFile(partial);
  let bytes = 0;
  try {
    for await (const chunk of client.download(from)) {
      for (let at = 0; at < chunk.byteLength;) at += writeSync(fd, chunk, at);
      bytes += chunk.byteLength;
      out.progress(`${basename(path)}: ${bytes} bytes`);
    }
    fsyncSync(fd);
    renameSync(partial, path);
    return bytes;
  } catch (error) {
    rmSync(partial, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}

function openFile(path: string): number {
  try {
    return openSync(path, "w", 0o600);
  } catch (error) {
    throw cliError("PENSTOCK_CLI_FILE", { detail: error instanceof Error ? error.message : path, cause: error });
  }
}
