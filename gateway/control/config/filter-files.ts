/** Filters that name a file: it is read where the declaration is, and the gateway is given what stands in it. */
import type { Finding } from "#core/errors.ts";
import type { Declaration } from "./declaration.ts";
import { isRecord } from "./fields.ts";
import type { WithDigests } from "./module-files.ts";

/** In place of keys that can't be read, so that nothing else is said about them: a secret and an Ed25519 key of nobody. */
const NO_KEYS = {
  keys: [
    { kty: "oct", k: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" },
    { kty: "OKP", crv: "Ed25519", x: "WGZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmY" },
  ],
};

/**
 * The declaration with the keys of each `jwksFile` in its place. What isn't a route with such a filter stays as it is,
 * however wrong: the check will say so. `read` answers undefined for a file that can't be read.
 */
export function withFilterFiles(
  data: unknown,
  read: (file: string, pointer: string) => Uint8Array | undefined,
): WithDigests {
  const findings: Finding[] = [];
  if (!isRecord(data) || !Array.isArray(data["routes"])) return { declaration: data as Declaration, findings };
  const routes = data["routes"].map((route: unknown, r) => {
    if (!isRecord(route) || !Array.isArray(route["filters"])) return route;
    const filters = route["filters"].map((filter: unknown, f) => {
      if (!isRecord(filter) || !isRecord(filter["config"]) || typeof filter["config"]["jwksFile"] !== "string")
        return filter;
      const { jwksFile, ...config } = filter["config"];
      const pointer = `/routes/${r}/filters/${f}/config/jwksFile`;
      return { ...filter, config: { ...config, jwks: keysOf(String(jwksFile), pointer, read, findings) } };
    });
    return { ...route, filters };
  });
  return { declaration: { ...data, routes } as unknown as Declaration, findings };
}

function keysOf(
  file: string,
  pointer: string,
  read: (file: string, pointer: string) => Uint8Array | undefined,
  findings: Finding[],
): unknown {
  const bytes = read(file, pointer);
  if (bytes === undefined) {
    findings.push({ pointer, code: "PENSTOCK_CONFIG_READ", detail: `"${file}" can't be read` });
    return NO_KEYS;
  }
  try {
    return JSON.parse(Buffer.from(bytes).toString()) as unknown;
  } catch (error) {
    const detail = `"${file}" is no JWK set: ${error instanceof Error ? error.message : String(error)}`;
    findings.push({ pointer, code: "PENSTOCK_CONFIG_VALUE", detail });
    return NO_KEYS;
  }
}
