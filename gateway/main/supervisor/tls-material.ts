/** What workers need beside a snapshot for its TLS: private keys, opened, and the authorities that this machine trusts. */
import { createHash, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { tlsError } from "#core/errors/tls.ts";
import type { Snapshot } from "#snapshot/snapshot.ts";
import type { TlsMaterial } from "#worker/protocol.ts";
import type { Sealing } from "./sealing.ts";

/** Debian and Ubuntu; Fedora and RHEL; Alpine and openSUSE. */
const SYSTEM_AUTHORITIES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/cert.pem",
  "/etc/ssl/ca-bundle.pem",
];

/** Undefined: the snapshot has no TLS. Throws PENSTOCK_TLS_SEALED, PENSTOCK_TLS_SYSTEM_CA. */
export function tlsMaterial(snapshot: Snapshot, sealing: Sealing): Omit<TlsMaterial, "ticketKeys"> | undefined {
  const certificates = snapshot.certificates ?? [];
  const trusting = snapshot.upstreams.find(({ tls }) => tls !== undefined && tls.ca === "" && !tls.insecureSkipVerify);
  const encrypted =
    snapshot.listeners.some(({ tls }) => tls !== undefined) || snapshot.upstreams.some(({ tls }) => tls !== undefined);
  if (!encrypted) return undefined;
  return {
    keys: certificates.map(({ chain, sealedKey }) => sealing.open(sealedKey, contextOf(chain))),
    systemCa: trusting === undefined ? null : systemAuthorities(trusting.name),
  };
}

function contextOf(chain: string): string {
  const key = new X509Certificate(chain).publicKey.export({ type: "spki", format: "der" });
  return `private key ${createHash("sha256").update(key).digest("hex")}`;
}

function systemAuthorities(upstream: string): Uint8Array {
  const found = machineAuthorities();
  if (found !== null) return found;
  throw tlsError("PENSTOCK_TLS_SYSTEM_CA", {
    detail: `upstream "${upstream}" needs it; looked for ${SYSTEM_AUTHORITIES.join(", ")}`,
  });
}

/** Null: this machine has none where they are looked for. */
export function machineAuthorities(): Uint8Array | null {
  for (const path of SYSTEM_AUTHORITIES) {
    try {
      return readFileSync(path);
    } catch {
      // Another system keeps them elsewhere.
    }
  }
  return null;
}
