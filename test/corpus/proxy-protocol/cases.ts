/**
 * PROXY headers and what becomes of each. `bytes`: Latin-1 text, or hex where it begins with `0x`. `outcome`: `more`,
 * `none`, `refused REASON`, or `header N [SOURCE DESTINATION]` with the bytes it takes and the addresses it names.
 */

export interface ProxyCase {
  readonly name: string;
  readonly bytes: string;
  readonly outcome: string;
}

const SIG = "0x0d0a0d0a000d0a515549540a";

export const PROXY_CASES: readonly ProxyCase[] = [
  { name: "nothing yet", bytes: "", outcome: "more" },
  { name: "some other protocol", bytes: "GET / HTTP/1.1\r\n", outcome: "none" },
  { name: "begins like a header, but is a request", bytes: "PROPFIND / HTTP/1.1\r\n", outcome: "none" },
  { name: "lower case", bytes: "proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n", outcome: "none" },
  { name: "a TLS client hello", bytes: "0x16030100", outcome: "none" },
  { name: "CRLF in front of a request", bytes: "\r\nGET / HTTP/1.1\r\n", outcome: "none" },

  { name: "v1 IPv4", bytes: "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\nrest", outcome: "header 45 192.0.2.1:56324 198.51.100.2:443" },
  { name: "v1 IPv6", bytes: "PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", outcome: "header 44 [2001:db8::1]:1 [2001:db8::2]:65535" },
  { name: "v1 mapped IPv6 is IPv4", bytes: "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 1 2\r\n", outcome: "header 53 192.0.2.1:1 198.51.100.2:2" },
  { name: "v1 unknown", bytes: "PROXY UNKNOWN\r\n", outcome: "header 15" },
  { name: "v1 unknown with anything", bytes: "PROXY UNKNOWN ffff::1 what ever 1 2\r\n", outcome: "header 37" },
  { name: "v1 the longest line", bytes: `PROXY UNKNOWN ${"x".repeat(91)}\r\n`, outcome: "header 107" },
  { name: "v1 a byte too long", bytes: `PROXY UNKNOWN ${"x".repeat(92)}\r\n`, outcome: "refused line-too-long" },
  { name: "v1 without an end", bytes: `PROXY TCP4 ${"1".repeat(200)}`, outcome: "refused line-too-long" },
  { name: "v1 cut before LF", bytes: "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r", outcome: "more" },
  { name: "v1 bare CR", bytes: "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\rX", outcome: "refused line-malformed" },
  { name: "v1 LF alone", bytes: `PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n${"x".repeat(100)}`, outcome: "refused line-too-long" },
  { name: "v1 two spaces", bytes: "PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n", outcome: "refused line-malformed" },
  { name: "v1 a space at the end", bytes: "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n", outcome: "refused line-malformed" },
  { name: "v1 a port missing", bytes: "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", outcome: "refused line-malformed" },
  { name: "v1 port 65536", bytes: "PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n", outcome: "refused line-malformed" },
  { name: "v1 port with a leading zero", bytes: "PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n", outcome: "refused line-malformed" },
  { name: "v1 port with a sign", bytes: "PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n", outcome: "refused line-malformed" },
  { name: "v1 octal address", bytes: "PROXY TCP4 010.2.3.4 5.6.7.8 1 2\r\n", outcome: "refused line-malformed" },
  { name: "v1 IPv6 where IPv4 is said", bytes: "PROXY TCP4 ::1 5.6.7.8 1 2\r\n", outcome: "refused line-malformed" },
  { name: "v1 IPv4 where IPv6 is said", bytes: "PROXY TCP6 1.2.3.4 ::1 1 2\r\n", outcome: "refused line-malformed" },
  { name: "v1 a name", bytes: "PROXY TCP4 localhost 5.6.7.8 1 2\r\n", outcome: "refused line-malformed" },
  { name: "v1 UDP", bytes: "PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n", outcome: "refused line-malformed" },
  { name: "v1 a NUL inside", bytes: "PROXY TCP4 1.2.3.4\0 5.6.7.8 1 2\r\n", outcome: "refused line-malformed" },
  { name: "v1 UNKNOWN glued to more", bytes: "PROXY UNKNOWNX\r\n", outcome: "refused line-malformed" },

  { name: "v2 IPv4", bytes: `${SIG}2111000cc0000201c6336402dc0401bb`, outcome: "header 28 192.0.2.1:56324 198.51.100.2:443" },
  { name: "v2 IPv6", bytes: `${SIG}2121002420010db800000000000000000000000120010db800000000000000000000000200010002`, outcome: "header 52 [2001:db8::1]:1 [2001:db8::2]:2" },
  { name: "v2 LOCAL", bytes: `${SIG}20000000`, outcome: "header 16" },
  { name: "v2 LOCAL with addresses that are skipped", bytes: `${SIG}2011000cc0000201c6336402dc0401bb`, outcome: "header 28" },
  { name: "v2 LOCAL with anything", bytes: `${SIG}20ff0003ffffff`, outcome: "header 19" },
  { name: "v2 UNSPEC", bytes: `${SIG}21000000`, outcome: "header 16" },
  { name: "v2 UNSPEC with an extension", bytes: `${SIG}210000050400020000`, outcome: "header 21" },
  { name: "v2 a family of the future", bytes: `${SIG}21510002abcd`, outcome: "header 18" },
  { name: "v2 Unix", bytes: `${SIG}213100d8${"00".repeat(216)}`, outcome: "header 232" },
  { name: "v2 Unix cut", bytes: `${SIG}213100d7${"00".repeat(215)}`, outcome: "refused addresses-cut" },
  { name: "v2 UDP over a stream", bytes: `${SIG}2112000cc0000201c6336402dc0401bb`, outcome: "header 28" },
  { name: "v2 IPv4 cut", bytes: `${SIG}2111000bc0000201c6336402dc0401`, outcome: "refused addresses-cut" },
  { name: "v2 version 3", bytes: `${SIG}31`, outcome: "refused version-unknown" },
  { name: "v2 version 1", bytes: `${SIG}11`, outcome: "refused version-unknown" },
  { name: "v2 command 2", bytes: `${SIG}22`, outcome: "refused command-unknown" },
  { name: "v2 the signature alone", bytes: SIG, outcome: "more" },
  { name: "v2 a byte of the signature wrong", bytes: "0x0d0a0d0a000d0a515549540b", outcome: "none" },
  { name: "v2 too long", bytes: `${SIG}21113ff1`, outcome: "refused header-too-long" },
  { name: "v2 of the longest, not whole", bytes: `${SIG}21113ff0`, outcome: "more" },
  { name: "v2 extensions are stepped over", bytes: `${SIG}21110016c0000201c6336402dc0401bb0100026832030004deadbeef`.replace("030004deadbeef", "ea000102").replace("0016", "0015"), outcome: "header 37 192.0.2.1:56324 198.51.100.2:443" },
  { name: "v2 an extension without a length", bytes: `${SIG}2111000ec0000201c6336402dc0401bb0100`, outcome: "refused tlv-cut" },
  { name: "v2 an extension longer than the header", bytes: `${SIG}21110010c0000201c6336402dc0401bb01000200`, outcome: "refused tlv-cut" },
  { name: "v2 a checksum that is right", bytes: `${SIG}21110013c0000201c6336402dc0401bb030004CHECKSUM`, outcome: "header 35 192.0.2.1:56324 198.51.100.2:443" },
  { name: "v2 a checksum that is wrong", bytes: `${SIG}21110013c0000201c6336402dc0401bb03000400000000`, outcome: "refused checksum-wrong" },
  { name: "v2 a checksum of three bytes", bytes: `${SIG}21110012c0000201c6336402dc0401bb030003000000`, outcome: "refused checksum-wrong" },
];
