/** `penstock plugin push` and `keygen`: a version on its way up, signed where a key is given, with its source map. */
import { createHash, createPrivateKey, generateKeyPairSync } from "node:crypto";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { cliError } from "#core/errors/cli.ts";
import { publicKeyText, signVersion } from "#control/plugins/signature.ts";
import { positionals, textOption } from "./arguments.ts";
import { Client } from "./client.ts";
import { versionOf, type PluginVersion } from "./plugin-version.ts";
import type { ExitCode, Output, ParsedArgs, VerbContext } from "./verb.ts";

export async function push(args: ParsedArgs, out: Output, context: VerbContext): Promise<ExitCode> {
  const [, name = "", file = ""] = positionals(args, "push", "TENANT/NAME@VERSION", "FILE|DIR");
  const { path, tenant, plugin, version } = versionOf(name);
  const { module, map } = readBuilt(resolve(context.cwd, file));
  const keyFile = textOption(args, "key");
  const digest = createHash("sha256").update(module).digest("hex");
  const headers =
    keyFile === undefined
      ? {}
      : { "x-penstock-signature": signed(resolve(context.cwd, keyFile), { tenant, name: plugin, version, digest }) };
  const client = Client.of(args, context);
  out.progress(`uploading ${module.byteLength} bytes, which the gateway validates`);
  const { status, body } = await client.send("PUT", path, { module, headers });
  if (map !== null) await client.send("PUT", `${path}/source-map`, { json: map });
  const pushed = body as PluginVersion;
  if (out.json) out.print(JSON.stringify(pushed));
  else for (const line of pushedLines(name, pushed, status === 201)) out.print(line);
  return 0;
}

function pushedLines(
  name: string,
  { bytes, digest, facts, asks, signedBy, ...version }: PluginVersion,
  isNew: boolean,
): string[] {
  const what = isNew ? "is uploaded" : "was uploaded before";
  const lines = [`${name} ${what}: ${bytes} bytes, ${digest.slice(0, 12)}, hooks ${facts.hooks.join(" ")}`];
  if (signedBy !== undefined) lines.push(`signed by ${signedBy}`);
  if (facts.capabilities !== undefined && facts.capabilities.length > 0) {
    lines.push(`asks for ${facts.capabilities.join(" ")}: routes grant it in \`allow\`, or it gets nothing`);
  }
  for (const more of asks?.more ?? []) lines.push(`+ ${more}, which version ${asks?.than} did not ask for`);
  for (const less of asks?.less ?? []) lines.push(`- ${less}, which version ${asks?.than} asked for`);
  lines.push(`routes name it as \`plugin: "${version.name}@${version.version}"\``);
  return lines;
}

/** A module, or the one that `plugin build` left in a plugin's folder; and the source map beside it. */
function readBuilt(path: string): { module: Uint8Array; map: unknown } {
  const folder = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  const file = folder ? join(path, "build", `${basename(path)}.wasm`) : path;
  let module: Uint8Array;
  try {
    module = readFileSync(file);
  } catch (error) {
    const detail = folder ? `${file} is missing: \`penstock plugin build ${path}\` makes it` : `there is no ${file}`;
    throw cliError("PENSTOCK_CLI_FILE", { detail, cause: error });
  }
  const mapFile = `${file}.map`;
  if (statSync(mapFile, { throwIfNoEntry: false }) === undefined) return { module, map: null };
  try {
    return { module, map: withoutSources(JSON.parse(readFileSync(mapFile, "utf8"))) };
  } catch (error) {
    throw cliError("PENSTOCK_CLI_FILE", { detail: `${mapFile} is no source map`, cause: error });
  }
}

/** The sources themselves stay at home: places are enough. */
function withoutSources(map: unknown): unknown {
  return typeof map === "object" && map !== null ? { ...map, sourcesContent: undefined } : map;
}

function signed(file: string, version: Parameters<typeof signVersion>[0]): string {
  try {
    return signVersion(version, createPrivateKey(readFileSync(file)));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw cliError("PENSTOCK_CLI_FILE", { detail: `${file}: ${why}`, cause: error });
  }
}

/** A key of one's own, in a file that only its owner can read; what the operator needs of it is printed. */
export async function keygen(args: ParsedArgs, out: Output, { cwd }: VerbContext): Promise<ExitCode> {
  const [, file = ""] = positionals(args, "keygen", "FILE");
  const { privateKey } = generateKeyPairSync("ed25519");
  try {
    writeFileSync(resolve(cwd, file), privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600, flag: "wx" });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw cliError("PENSTOCK_CLI_FILE", { detail: why, cause: error });
  }
  const publicKey = publicKeyText(privateKey);
  if (out.json) out.print(JSON.stringify({ file, publicKey }));
  else {
    out.print(publicKey);
    out.note(`the key is in ${file}; the operator puts the line above into the tenant's \`publicKeys\``);
  }
  return 0;
}
