import { thrower } from "#core/errors.ts";

/** TLS as it is configured. What goes wrong on a connection is an outcome or a counter, not one of these. */
export const TLS_ERRORS = {
  PENSTOCK_TLS_CERTIFICATE: {
    message: "a certificate can't be used",
    status: 400,
    hint: "the PEM text holds the certificate first, then the chain that leads to its root",
  },
  PENSTOCK_TLS_KEY: {
    message: "a private key can't be used",
    status: 400,
    hint: "the key must be an unencrypted PEM text and belong to the first certificate of the chain",
  },
  PENSTOCK_TLS_CA: {
    message: "a list of trusted certificates can't be used",
    status: 400,
    hint: "give the certificates of the authorities as PEM text",
  },
  PENSTOCK_TLS_SYSTEM_CA: {
    message: "this machine has no list of trusted certificate authorities",
    status: 409,
    hint: "`apt-get install ca-certificates`, or name one with `tls.caFile` of the upstream",
  },
  PENSTOCK_TLS_CONTEXT: {
    message: "OpenSSL does not take these TLS settings",
    status: 400,
    hint: "`openssl ciphers -v` lists what cipher lists may hold",
  },
  PENSTOCK_TLS_SEALED: {
    message: "a sealed private key, or secret, can't be opened",
    status: 500,
    hint: "the sealing key is not the one it was sealed with: restore it, or declare certificates with new private keys, and secrets with their values, in place of these",
  },
} as const;

export const tlsError = thrower(TLS_ERRORS);
