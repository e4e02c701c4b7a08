/**
 * Private keys on their way in: taken out of the declaration before anything of it is kept, checked against their certificate, sealed
 * by the supervisor, and kept by the digest of the public key they belong to. From then on a declaration says which key it means by
 * its certificate, so revisions, diffs, exports and the audit log never hold one.
 */
import { PenstockError, type Finding } from "#core/errors.ts";
import { refusal } from "./config/check.ts";
import { certificateFacts, keyMismatch } from "./config/certificate-facts.ts";
import type { Declaration } from "./config/declaration.ts";
import { isRecord } from "./config/fields.ts";

/** What a sealed key must be opened with. */
export function keyContext(keyDigest: string): string {
  return `private key ${keyDigest}`;
}

/** What is done with a key that fits. */
export interface KeySink {
  keep(owner: string, keyDigest: string, key: string): Promise<void>;
}

/** The declaration without keys. Throws findings about keys that fit no certificate; what has another form is left to the check. */
export async function withoutKeys(declaration: Declaration, sink: KeySink): Promise<Declaration> {
  // Whatever was sent: the check says what is wrong with it.
  const certificates = isRecord(declaration) ? declaration["certificates"] : undefined;
  if (
    !Array.isArray(certificates) ||
    !certificates.some((one) => isRecord(one) && typeof one["privateKey"] === "string")
  ) {
    return declaration;
  }
  const findings: Finding[] = [];
  const kept: Promise<void>[] = [];
  const without = certificates.map((one: unknown, index) => {
    if (!isRecord(one) || typeof one["privateKey"] !== "string") return one;
    const { privateKey, ...rest } = one;
    const { certificate, tenant } = one;
    const facts = typeof certificate === "string" ? certificateFacts(certificate) : "";
    if (typeof certificate !== "string" || typeof facts === "string") return rest;
    const mismatch = keyMismatch(certificate, privateKey as string);
    if (mismatch !== null) {
      findings.push({ pointer: `/certificates/${index}/privateKey`, code: "PENSTOCK_CONFIG_VALUE", detail: mismatch });
    } else {
      kept.push(sink.keep(typeof tenant === "string" ? tenant : "", facts.keyDigest, privateKey as string));
    }
    return rest;
  });
  await Promise.all(kept);
  if (findings.length > 0) throw refusal(findings) as PenstockError;
  return { ...declaration, certificates: without as NonNullable<Declaration["certificates"]> };
}
