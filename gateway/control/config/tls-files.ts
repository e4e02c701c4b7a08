/** What a declaration says about TLS in files: each is read where the declaration is, and the gateway is given what stands in it. */
import type { Finding } from "#core/errors.ts";
import type { Declaration } from "./declaration.ts";
import { isRecord } from "./fields.ts";
import type { WithDigests } from "./module-files.ts";

type Read = (file: string, pointer: string) => Uint8Array | undefined;

/** The field that names a file, the one that has its content, and how. */
const CERTIFICATE_FILES = [
  ["certFile", "certificate", "utf8"],
  ["keyFile", "privateKey", "utf8"],
  ["ocspFile", "ocspResponse", "base64"],
] as const;
const AUTHORITY_FILES = [["caFile", "ca", "utf8"]] as const;

/** What isn't of the right form stays as it is: the check will say so. `read` answers undefined for a file that can't be read. */
export function withTlsFiles(data: unknown, read: Read): WithDigests {
  const findings: Finding[] = [];
  if (!isRecord(data)) return { declaration: data as Declaration, findings };
  const fill = (entry: unknown, pointer: string, files: typeof CERTIFICATE_FILES | typeof AUTHORITY_FILES): unknown =>
    isRecord(entry) ? filled(entry, pointer, files, read, findings) : entry;
  const each = (
    kind: string,
    change: (entry: Readonly<Record<string, unknown>>, pointer: string) => unknown,
  ): object => {
    const entries = data[kind];
    if (!Array.isArray(entries)) return {};
    return { [kind]: entries.map((one: unknown, i) => (isRecord(one) ? change(one, `/${kind}/${i}`) : one)) };
  };
  const declaration = {
    ...data,
    ...each("certificates", (one, pointer) => fill(one, pointer, CERTIFICATE_FILES)),
    ...each("upstreams", (one, pointer) =>
      one["tls"] === undefined ? one : { ...one, tls: fill(one["tls"], `${pointer}/tls`, AUTHORITY_FILES) },
    ),
    ...each("listeners", (one, pointer) => {
      const { tls } = one;
      if (!isRecord(tls) || !isRecord(tls["clientAuth"])) return one;
      const clientAuth = fill(tls["clientAuth"], `${pointer}/tls/clientAuth`, AUTHORITY_FILES);
      return { ...one, tls: { ...tls, clientAuth } };
    }),
  };
  return { declaration: declaration as Declaration, findings };
}

function filled(
  entry: Readonly<Record<string, unknown>>,
  pointer: string,
  files: typeof CERTIFICATE_FILES | typeof AUTHORITY_FILES,
  read: Read,
  findings: Finding[],
): Readonly<Record<string, unknown>> {
  const out = { ...entry };
  for (const [from, to, encoding] of files) {
    const file = entry[from];
    if (typeof file !== "string" || entry[to] !== undefined) continue;
    const bytes = read(file, `${pointer}/${from}`);
    delete out[from];
    if (bytes === undefined) {
      findings.push({ pointer: `${pointer}/${from}`, code: "PENSTOCK_CONFIG_READ", detail: `"${file}" can't be read` });
      continue;
    }
    out[to] = Buffer.from(bytes).toString(encoding);
  }
  return out;
}
