/** `proxy_get_property` of a TCP stream: what its TLS has settled with the client, where that ends here. */
import { expect, test } from "vitest";
import type { OpeningStream } from "#pipeline/stream-filter.ts";
import { propertyOf } from "#wasm/proxy-wasm/properties.ts";
import { TcpContext } from "#wasm/proxy-wasm/tcp-context.ts";

const PLAIN: OpeningStream = {
  protocol: "tcp",
  clientIp: Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 203, 0, 113, 7]),
  clientPort: 51_234,
  tls: null,
  serverName: "",
  originalDestination: "",
  routeName: "devices",
  routeTo: () => false,
};

const certificate = {
  fingerprint: "ab".repeat(32),
  subject: "CN=device 7,O=acme",
  alternativeNames: ["DNS:7.devices.example", "URI:spiffe://acme/7"],
};

const NAMES = [
  "mtls",
  "tls_version",
  "requested_server_name",
  "subject_peer_certificate",
  "dns_san_peer_certificate",
  "uri_san_peer_certificate",
  "sha256_peer_certificate_digest",
];

function properties(opening: OpeningStream): unknown[] {
  const context = new TcpContext(2, opening);
  const identity = { name: "p", rootId: "", vmId: "" };
  return NAMES.map((name) => propertyOf(`connection.${name}`, identity, context, 0));
}

test("without TLS there is nothing to tell", () => {
  expect(properties(PLAIN)).toEqual([false, null, null, null, null, null, null]);
});

test("TLS without a certificate of the client's", () => {
  const settled = { version: "TLSv1.3", serverName: "mqtt.example", alpn: "mqtt", certificate: null };
  const opening = { ...PLAIN, serverName: "mqtt.example", tls: settled };
  expect(properties(opening)).toEqual([false, "TLSv1.3", "mqtt.example", null, null, null, null]);
});

test("and with one", () => {
  const settled = { version: "TLSv1.2", serverName: "", alpn: "", certificate };
  expect(properties({ ...PLAIN, tls: settled })).toEqual([
    true,
    "TLSv1.2",
    null,
    certificate.subject,
    "7.devices.example",
    "spiffe://acme/7",
    certificate.fingerprint,
  ]);
});
