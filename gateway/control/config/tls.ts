/** What concerns TLS and more than one field: certificates and their keys, who may serve which hosts, what refers to what. */
import { certificateFacts } from "./certificate-facts.ts";
import type { UpstreamResource } from "./declaration.ts";
import type { Draft, Entry } from "./draft.ts";
import { ownerOf, type Claim } from "./hosts.ts";
import { keyOf } from "./kinds.ts";
import type { Report } from "./references.ts";
import { suggestion } from "./suggest.ts";

export interface TlsContext {
  /** Is the private key of this certificate kept? `owner`: the tenant, or empty. */
  hasKey(owner: string, keyDigest: string): boolean;
  /** A certificate that is in force already may go on when its time is over: what else is changed must not fail by it. */
  isInForce(certificate: string): boolean;
  readonly nowMs: number;
}

export function checkTls(draft: Draft, context: TlsContext | undefined, report: Report): void {
  checkCertificates(draft, context, report);
  checkListeners(draft, report);
  checkUpstreams(draft, report);
}

function checkCertificates(draft: Draft, context: TlsContext | undefined, report: Report): void {
  const claims: Claim[] = draft.tenants.flatMap(({ value }) =>
    value.hosts.map((pattern) => ({ tenant: value.name, pattern })),
  );
  for (const { pointer, value } of draft.certificates) {
    const { certificate, tenant, privateKey } = value;
    if (tenant !== undefined && !draft.names.tenants.has(tenant)) {
      report(`${pointer}/tenant`, "PENSTOCK_CONFIG_REFERENCE", `there is no tenant "${tenant}"`);
    }
    if (certificate === undefined) {
      report(pointer, "PENSTOCK_CONFIG_REQUIRED", "a certificate needs `certFile` or `certificate`");
      continue;
    }
    const facts = certificateFacts(certificate);
    if (typeof facts === "string") {
      report(`${pointer}/certificate`, "PENSTOCK_CONFIG_VALUE", facts);
      continue;
    }
    if (context === undefined) continue;
    if (facts.notAfterMs < context.nowMs && !context.isInForce(certificate)) {
      const detail = `the certificate expired at ${new Date(facts.notAfterMs).toISOString()}`;
      report(`${pointer}/certificate`, "PENSTOCK_CONFIG_VALUE", detail);
    }
    if (privateKey === undefined && !context.hasKey(tenant ?? "", facts.keyDigest)) {
      report(
        pointer,
        "PENSTOCK_CONFIG_REQUIRED",
        "a certificate needs `keyFile` or `privateKey`, and no key was given for it before",
      );
    }
    if (tenant === undefined) continue;
    if (facts.hosts.length === 0)
      report(`${pointer}/certificate`, "PENSTOCK_CONFIG_VALUE", "the certificate names no host");
    for (const host of facts.hosts) {
      if (ownerOf(host, claims)?.tenant === tenant) continue;
      const detail = `the certificate names "${host}", which does not belong to tenant "${tenant}"`;
      report(`${pointer}/certificate`, "PENSTOCK_CONFIG_HOST_FOREIGN", detail);
    }
  }
}

function checkListeners(draft: Draft, report: Report): void {
  for (const { pointer, value } of draft.listeners) {
    const { tls, protocol } = value;
    if (tls === undefined) continue;
    if (protocol !== "http" && protocol !== "tcp") {
      const detail = `TLS ends on http and tcp listeners, and this one is ${protocol}; remove \`tls\``;
      report(`${pointer}/tls`, "PENSTOCK_CONFIG_VALUE", detail);
    }
    if (protocol === "http") checkHttpAlpn(tls.alpn, `${pointer}/tls/alpn`, report);
    tls.certificates.forEach((name, i) => mustBeCertificate(draft, name, `${pointer}/tls/certificates/${i}`, report));
    const auth = tls.clientAuth;
    if (auth === "none" || auth.mode === "none") continue;
    if (auth.ca === undefined && auth.fingerprints.length === 0) {
      const detail = "name the authorities (`caFile`), the certificates (`fingerprints`), or both";
      report(`${pointer}/tls/clientAuth`, "PENSTOCK_CONFIG_REQUIRED", detail);
    }
    checkAuthorities(auth.ca, `${pointer}/tls/clientAuth/ca`, report);
    if (protocol === "http" || auth.header === undefined) continue;
    const detail = `a ${protocol} listener has no request fields; plugins are told the certificate's fingerprint`;
    report(`${pointer}/tls/clientAuth/header`, "PENSTOCK_CONFIG_VALUE", detail);
  }
}

/** Promised, and not spoken yet. */
const LATER_HTTP: readonly string[] = ["h2", "h3"];

/** A client would be told that we speak what we don't. */
function checkHttpAlpn(alpn: readonly string[] | undefined, pointer: string, report: Report): void {
  for (const [index, protocol] of (alpn ?? []).entries()) {
    if (protocol === "http/1.1") continue;
    const later = LATER_HTTP.includes(protocol);
    const why = later ? "is not supported by this version" : "is nothing that an http listener speaks";
    const code = later ? "PENSTOCK_CONFIG_UNSUPPORTED" : "PENSTOCK_CONFIG_VALUE";
    report(`${pointer}/${index}`, code, `protocol "${protocol}" ${why}; there is http/1.1`);
  }
}

function checkUpstreams(draft: Draft, report: Report): void {
  for (const { pointer, value } of draft.upstreams) {
    const { tls } = value;
    if (tls === undefined) continue;
    checkAuthorities(tls.ca, `${pointer}/tls/ca`, report);
    if (tls.insecureSkipVerify && tls.ca !== undefined) {
      report(`${pointer}/tls/ca`, "PENSTOCK_CONFIG_VALUE", "authorities are not asked with `insecureSkipVerify`");
    }
    checkUpstreamAlpn({ pointer, value }, draft, report);
    const unix = value.endpoints.findIndex((one) => one.address.startsWith("unix:"));
    if (unix >= 0 && tls.serverName === undefined && !tls.insecureSkipVerify) {
      const detail = "a Unix socket has no name to verify: set `tls.serverName`";
      report(`${pointer}/endpoints/${unix}/address`, "PENSTOCK_CONFIG_VALUE", detail);
    }
    if (tls.clientCertificate === undefined) continue;
    const name = tls.clientCertificate;
    const own = value.tenant === undefined ? name : `${value.tenant}/${name}`;
    if (!certificateNames(draft).has(own)) noCertificate(draft, name, `${pointer}/tls/clientCertificate`, report);
  }
}

/** What requests could settle on and not speak is refused; streams carry whatever they are told to. */
function checkUpstreamAlpn({ pointer, value }: Entry<UpstreamResource>, draft: Draft, report: Report): void {
  for (const [index, protocol] of (value.tls?.alpn ?? []).entries()) {
    if (!LATER_HTTP.includes(protocol) || isOfStreams(value, draft)) continue;
    const detail = `"${protocol}" is not supported by this version but on routes of tcp listeners and of \`connect: tunnel\`; requests use http/1.1`;
    report(`${pointer}/tls/alpn/${index}`, "PENSTOCK_CONFIG_UNSUPPORTED", detail);
  }
}

/** Some route of a listener without HTTP, or of tunnels that begin here, leads there. */
function isOfStreams(upstream: UpstreamResource, draft: Draft): boolean {
  const key = keyOf("upstreams", upstream);
  const streams = new Set(draft.listeners.filter((one) => one.value.protocol !== "http").map((one) => one.value.name));
  return draft.routes.some(({ value: route }) => {
    if (route.connect !== "tunnel" && !(route.listeners ?? []).some((name) => streams.has(name))) return false;
    const names = [route.upstream, ...(route.split ?? []).map((one) => one.upstream)];
    return names.some((name) => name !== undefined && (key === name || key === `${route.tenant}/${name}`));
  });
}

function mustBeCertificate(draft: Draft, name: string, pointer: string, report: Report): void {
  if (!certificateNames(draft).has(name)) noCertificate(draft, name, pointer, report);
}

function noCertificate(draft: Draft, name: string, pointer: string, report: Report): void {
  const meant = suggestion(name, certificateNames(draft));
  const hint = meant === undefined ? "" : `; did you mean "${meant}"?`;
  report(pointer, "PENSTOCK_CONFIG_REFERENCE", `there is no certificate "${name}"${hint}`);
}

function certificateNames(draft: Draft): ReadonlySet<string> {
  return draft.names.certificates;
}

function checkAuthorities(pem: string | undefined, pointer: string, report: Report): void {
  if (pem === undefined) return;
  const facts = certificateFacts(pem);
  if (typeof facts === "string") report(pointer, "PENSTOCK_CONFIG_VALUE", facts);
}
