/** Certificates, and what listeners and upstreams say about TLS. Files are read by who declares and replaced by what stands in them. */
import * as v from "valibot";
import { alternatives, fields, resource } from "./fields.ts";
import { choice, headerName, integer, list, name, sha256, text } from "./primitives.ts";

const MINUTE_MS = 60_000;
const FILE_CHARACTERS_MAX = 1_048_576;

const file = v.optional(v.pipe(text, v.minLength(1, "a file name can't be empty")));
const content = v.optional(v.pipe(text, v.maxLength(FILE_CHARACTERS_MAX, "at most one MiB")));

export const Certificate = resource("a certificate", {
  name,
  /** Left out: the gateway's own. A tenant's serves hosts of that tenant, on the listeners the tenant may use. */
  tenant: v.optional(name),
  certFile: file,
  /** PEM: the certificate, then its chain. */
  certificate: content,
  keyFile: file,
  /** PEM. Taken out, sealed and kept apart when it arrives; left out, the key that was given for this certificate before is used. */
  privateKey: content,
  ocspFile: file,
  /** An OCSP response to staple, DER in base64. */
  ocspResponse: v.optional(v.pipe(text, v.regex(/^[A-Za-z0-9+/]+={0,2}$/, "expected base64"))),
});

const protocolName = v.pipe(
  text,
  v.regex(/^[\x21-\x7e]{1,255}$/, "a protocol's name is 1 to 255 visible characters, such as mqtt"),
);

/** RFC 7301, 3.1: which names fit is checked in `tls.ts`, where it is known who speaks. */
const alpn = (what: string) =>
  v.optional(
    v.pipe(list(protocolName, 16), v.minLength(1, "name a protocol, or leave `alpn` out"), v.description(what)),
  );
const minVersion = v.optional(choice("version", ["1.2", "1.3"]), "1.2");
const fingerprints = v.optional(list(sha256, 1000), []);

const ClientAuth = fields("client authentication", {
  mode: choice("mode", ["none", "optional", "required"]),
  caFile: file,
  /** PEM: authorities that clients' certificates must lead to. Left out: any issuer, the fingerprint decides. */
  ca: content,
  /** SHA-256 of the certificates that are let in; empty: every one that verifies. */
  fingerprints,
  header: v.optional(
    v.pipe(
      headerName,
      v.description("Of http listeners: the request field that tells the upstream whose certificate it was."),
    ),
  ),
});

const NoClientAuth = choice("mode", ["none"]);

/** `clientAuth: none` is short for `{ mode: none }`. */
export const ListenerTls = fields("TLS of a listener", {
  certificates: v.pipe(list(name, 1000), v.minLength(1, "name a certificate")),
  alpn: alpn(
    "What is offered by ALPN, the dearest first. Left out: `http/1.1` on http listeners; on tcp listeners what clients offer is left unanswered. A client that offers none of these is refused.",
  ),
  minVersion,
  /** Cipher list of TLS 1.2, in OpenSSL's words. */
  ciphers: v.optional(
    v.pipe(text, v.minLength(1, "leave `ciphers` out for the default"), v.maxLength(2000, "too long")),
  ),
  clientAuth: v.optional(
    alternatives([NoClientAuth, ClientAuth], (input) => (typeof input === "string" ? NoClientAuth : ClientAuth)),
    "none",
  ),
  handshakeTimeoutMs: v.optional(integer(100, MINUTE_MS), 5000),
  /** Handshakes under way at a time in one worker. */
  handshakesMax: v.optional(integer(1, 65_536), 512),
});

export const UpstreamTls = fields("TLS to an upstream", {
  /** Asked for and verified in place of the endpoint's own name or address. */
  serverName: v.optional(v.pipe(text, v.regex(/^[A-Za-z0-9._-]{1,253}$/, "expected a host name"))),
  caFile: file,
  /** PEM; left out: the authorities that this machine trusts. */
  ca: content,
  insecureSkipVerify: v.optional(v.boolean("expected true or false"), false),
  /** A certificate's name. */
  clientCertificate: v.optional(name),
  alpn: alpn(
    "What streams of tcp listeners, and tunnels that begin here, offer by ALPN; left out: nothing. Requests offer `http/1.1`.",
  ),
  minVersion,
  /** SHA-256 of the endpoints' certificates; empty: every one that verifies. */
  pins: fingerprints,
});
