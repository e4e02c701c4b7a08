/**
 * Why a message is refused: a closed set of small negative integers, so that parsers answer with a number and allocate
 * nothing. The status is what a downstream is told; a refusal of an upstream's message is answered 502 by the proxy,
 * with the same code in the log.
 */

export interface Refusal {
  readonly status: number;
  /** Stable, for logs and problem documents. */
  readonly code: string;
  readonly detail: string;
}

const TABLE: Refusal[] = [];

function refusal(status: number, code: string, detail: string): number {
  return -TABLE.push({ status, code, detail });
}

// The line and its bytes.
export const REFUSED_METHOD = refusal(400, "method", "the method is not a token followed by one space");
export const REFUSED_METHOD_LENGTH = refusal(501, "method-length", "the method is longer than any known one");
export const REFUSED_REQUEST_LINE = refusal(400, "request-line", "the request line is not method, target and version");
export const REFUSED_VERSION = refusal(505, "version", "only HTTP/1.0 and HTTP/1.1 are spoken here");
export const REFUSED_BARE_CR = refusal(400, "bare-cr", "a carriage return without a line feed");
export const REFUSED_BARE_LF = refusal(400, "bare-lf", "a line feed without a carriage return");
export const REFUSED_CONTROL = refusal(400, "control-byte", "a control byte where none may stand");
export const REFUSED_EMPTY_LINES = refusal(400, "empty-lines", "too many empty lines before the request line");
export const REFUSED_STATUS_LINE = refusal(400, "status-line", "the status line is not version, status and reason");

// The target.
export const REFUSED_TARGET = refusal(400, "target", "the request target is in none of the four forms");
export const REFUSED_TARGET_BYTE = refusal(400, "target-byte", "a byte that must be percent-encoded in a target");
export const REFUSED_TARGET_LENGTH = refusal(414, "target-length", "the request target is too long");
export const REFUSED_ESCAPE = refusal(
  400,
  "escape",
  "a percent sign without two hexadecimal digits, or an encoded NUL",
);
export const REFUSED_FRAGMENT = refusal(400, "fragment", "a request target has no fragment");
export const REFUSED_DOT_SEGMENTS = refusal(400, "dot-segments", "the path leads above the root");
export const REFUSED_AUTHORITY = refusal(
  400,
  "authority",
  "the target's authority is not a host with an optional port",
);
export const REFUSED_USERINFO = refusal(400, "userinfo", "user information in an authority is deprecated and refused");
export const REFUSED_SCHEME = refusal(400, "scheme", "the target's scheme is neither http nor https");

// Fields.
export const REFUSED_FIELD_NAME = refusal(400, "field-name", "a field name that is empty or not a token");
export const REFUSED_SPACE_BEFORE_COLON = refusal(
  400,
  "space-before-colon",
  "white space between field name and colon",
);
export const REFUSED_OBS_FOLD = refusal(400, "obs-fold", "a field line that continues the one before");
export const REFUSED_FIELDS = refusal(431, "fields", "too many field lines");
export const REFUSED_HEAD_LENGTH = refusal(431, "head-length", "the head is too long");
export const REFUSED_HOST_MISSING = refusal(400, "host-missing", "HTTP/1.1 requires a Host field");
export const REFUSED_HOST_REPEATED = refusal(400, "host-repeated", "more than one Host field");
export const REFUSED_HOST = refusal(400, "host", "the Host field is not a host with an optional port");
export const REFUSED_CONNECTION = refusal(
  400,
  "connection",
  "the Connection field is malformed or names an end-to-end field",
);
export const REFUSED_EXPECTATION = refusal(417, "expectation", "the only expectation known here is 100-continue");

// Framing.
export const REFUSED_LENGTH = refusal(400, "content-length", "Content-Length is not one decimal number below 2^53");
export const REFUSED_LENGTH_REPEATED = refusal(400, "content-length-repeated", "more than one Content-Length");
export const REFUSED_LENGTH_AND_CODING = refusal(400, "two-framings", "Content-Length and Transfer-Encoding together");
export const REFUSED_CODING = refusal(
  400,
  "transfer-encoding",
  "Transfer-Encoding is malformed, repeated, or chunked is not its last coding",
);
export const REFUSED_CODING_UNKNOWN = refusal(501, "transfer-coding", "a transfer coding other than chunked");
export const REFUSED_CODING_VERSION = refusal(400, "transfer-encoding-version", "HTTP/1.0 has no transfer codings");
export const REFUSED_FRAMING_ALIAS = refusal(
  400,
  "framing-alias",
  "Content_Length or Transfer_Encoding, which some servers take for the field with the hyphen",
);
export const REFUSED_CONTENT = refusal(400, "content", "content in a request whose method has none");
export const REFUSED_CHUNK_SIZE = refusal(400, "chunk-size", "a chunk size that is not hexadecimal, or above 2^53");
export const REFUSED_CHUNK_EXTENSION = refusal(
  400,
  "chunk-extension",
  "a chunk extension that is malformed or too long",
);
export const REFUSED_CHUNK_END = refusal(400, "chunk-end", "chunk data that is not followed by an end of line");
export const REFUSED_TRAILER = refusal(400, "trailer", "a trailer field that belongs into the head");
export const REFUSED_TRAILER_LENGTH = refusal(431, "trailer-length", "the trailer section is too long");

/** Our bound, not the sender's fault: no buffer was left for a rewritten target or for trailers. */
export const REFUSED_NO_BUFFER = refusal(503, "no-buffer", "the gateway has no buffer to spare");

/** The closed set, in order of definition. */
export const REFUSALS: readonly Refusal[] = TABLE;

/** What a negative answer of a parser stands for. */
export function refusalOf(answer: number): Refusal {
  const found = TABLE[-answer - 1];
  if (found === undefined) throw new RangeError(`not a refusal: ${String(answer)}`);
  return found;
}
