/** Bounds on one received head. A head that passes one of them is refused, so memory and work per message are bounded. */
export interface HeadLimits {
  /** From the first byte of the start line to the end of the empty line. */
  readonly headBytesMax: number;
  /** The request target as received. */
  readonly targetBytesMax: number;
  /** Field lines; at most FIELDS_MAX. */
  readonly fieldsMax: number;
  /** Empty segments of a path are left out, `//a///b` is `/a/b`; absent: they are kept. */
  readonly mergeSlashes?: boolean;
}

/** What the offset table is sized for. */
export const FIELDS_MAX = 256;
/** Fields that filters may add to one head beyond those received. */
export const ADDED_FIELDS_MAX = 64;
/** Longer methods are answered 501 (RFC 9112 section 3); the longest registered one has 17 letters. */
export const METHOD_BYTES_MAX = 32;
/** Empty lines tolerated before a request line (RFC 9112 section 2.2). */
export const EMPTY_LINES_MAX = 4;
/** One chunk's extensions, which are read, checked and dropped. */
export const CHUNK_EXTENSION_BYTES_MAX = 256;
/** The trailer section of a chunked body, its empty line included. */
export const TRAILER_BYTES_MAX = 8192;

export const DEFAULT_HEAD_LIMITS: HeadLimits = { headBytesMax: 16_384, targetBytesMax: 8192, fieldsMax: 128 };
