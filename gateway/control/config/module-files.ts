/** Plugins that name a file: the file is read where the declaration is, and the gateway is given its digest. */
import { PenstockError, type Finding } from "#core/errors.ts";
import { refusal } from "./check.ts";
import type { Declaration } from "./declaration.ts";
import { isRecord } from "./fields.ts";

export interface WithDigests {
  readonly declaration: Declaration;
  /** What is wrong with the files. Their plugins have a digest that no module has. */
  readonly findings: readonly Finding[];
}

const NO_DIGEST = "0".repeat(64);

/**
 * The declaration with `digest` in place of each plugin's `file`. What isn't a plugin with a file stays as it is, however
 * wrong: the check will say so. `digestOf` throws findings about one file.
 */
export async function withDigests(
  data: unknown,
  digestOf: (file: string, pointer: string) => Promise<string>,
): Promise<WithDigests> {
  const declaration = data as Declaration;
  if (!isRecord(data) || !Array.isArray(data["plugins"])) return { declaration, findings: [] };
  const plugins: unknown[] = [];
  const findings: Finding[] = [];
  for (const [index, plugin] of data["plugins"].entries()) {
    if (!isRecord(plugin) || typeof plugin["file"] !== "string" || plugin["digest"] !== undefined) {
      plugins.push(plugin);
      continue;
    }
    const { file, ...rest } = plugin;
    let digest = NO_DIGEST;
    try {
      digest = await digestOf(String(file), `/plugins/${index}/file`);
    } catch (error) {
      if (!(error instanceof PenstockError) || error.errors.length === 0) throw error;
      findings.push(...error.errors);
    }
    plugins.push({ ...rest, digest });
  }
  return { declaration: { ...declaration, plugins: plugins as NonNullable<Declaration["plugins"]> }, findings };
}

/**
 * The declaration with the digest of `current` for each plugin that names a version and nothing else: a version that was
 * uploaded is declared by its name. What `current` doesn't have stays as it is: the check will say so.
 */
export function withUploaded(data: Declaration, current: Declaration): Declaration {
  if (!isRecord(data) || !Array.isArray(data.plugins)) return data;
  const known = new Map((current.plugins ?? []).map((one) => [versionOf(one), one.digest]));
  const plugins = data.plugins.map((one) => {
    if (!isRecord(one) || one.file !== undefined || one.digest !== undefined) return one;
    const digest = known.get(versionOf(one));
    return digest === undefined ? one : { ...one, digest };
  });
  return { ...data, plugins };
}

function versionOf({ tenant, name, version }: NonNullable<Declaration["plugins"]>[number]): string {
  return JSON.stringify([tenant, name, version]);
}

/** Throws the findings about files and, with them, what `check` has against the rest: all errors at once. */
export async function refuseWithRest(findings: readonly Finding[], check: () => Promise<unknown>): Promise<never> {
  try {
    await check();
  } catch (error) {
    if (!(error instanceof PenstockError)) throw error;
    throw refusal([...findings, ...error.errors]);
  }
  throw refusal(findings);
}
