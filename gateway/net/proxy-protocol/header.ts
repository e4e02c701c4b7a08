/**
 * What a PROXY header says, and what is wrong with one. Source: "The PROXY protocol, versions 1 & 2", W. Tarreau, HAProxy
 * (proxy-protocol.txt).
 *
 * A header that names no address we can use (LOCAL, UNKNOWN, AF_UNSPEC, AF_UNIX, datagrams over a stream) leaves the
 * connection its own addresses: `source` is null then.
 */

export interface ProxyHeader {
  readonly version: 1 | 2;
  /** Who the client is, as bytes of a struct sockaddr; null: whoever has connected. */
  readonly source: Uint8Array | null;
  /** Where the client connected to; null where `source` is. */
  readonly destination: Uint8Array | null;
}

export type Decoded =
  /** What has come may be the beginning of a header. */
  | { readonly kind: "more" }
  /** No header begins like this. */
  | { readonly kind: "none" }
  | { readonly kind: "refused"; readonly reason: ProxyHeaderFault }
  /** The header takes the first `bytes` bytes. */
  | { readonly kind: "header"; readonly bytes: number; readonly header: ProxyHeader };

export type ProxyHeaderFault =
  | "line-too-long"
  | "line-malformed"
  | "version-unknown"
  | "command-unknown"
  | "header-too-long"
  | "addresses-cut"
  | "tlv-cut"
  | "checksum-wrong";

export const MORE: Decoded = { kind: "more" };
export const NONE: Decoded = { kind: "none" };

export function refused(reason: ProxyHeaderFault): Decoded {
  return { kind: "refused", reason };
}

/** Section 2.2: 12 bytes that no other protocol begins with. */
export const SIGNATURE = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a);
/** `PROXY `. */
export const PREFIX = Uint8Array.of(0x50, 0x52, 0x4f, 0x58, 0x59, 0x20);

/** Section 2.1: the longest line, with its end. */
export const LINE_BYTES_MAX = 107;
/** Fixed part of version 2: signature, version and command, family, length. */
export const FIXED_BYTES = 16;
/** The format allows 64 KiB of extensions. Half of a receive buffer is four times what is sent in practice (a certificate's names). */
export const HEADER_BYTES_MAX = 16_384;

export const FAMILY_UNSPEC = 0x00;
export const FAMILY_TCP4 = 0x11;
export const FAMILY_TCP6 = 0x21;
export const TLV_CRC32C = 0x03;
