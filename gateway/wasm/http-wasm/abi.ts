/**
 * The http-handler ABI of http-wasm as tables: what a module may import from `http_handler`, what it exports, and the numbers
 * that both sides use. Source: the published interface (http-wasm.io, "HTTP handler ABI").
 */
import type { Signature } from "#wasm/validate/signatures.ts";

const I = "i32";
const L = "i64";

function answers<const P extends Signature["params"], const R extends Signature["results"]>(params: P, results: R) {
  return { params, results } as const;
}

export const IMPORT_MODULE = "http_handler";

export const HANDLER_CALLS = {
  enable_features: answers([I], [I]),
  get_config: answers([I, I], [I]),
  log: answers([I, I, I], []),
  log_enabled: answers([I], [I]),
  get_method: answers([I, I], [I]),
  set_method: answers([I, I], []),
  get_uri: answers([I, I], [I]),
  set_uri: answers([I, I], []),
  get_protocol_version: answers([I, I], [I]),
  get_source_addr: answers([I, I], [I]),
  get_status_code: answers([], [I]),
  set_status_code: answers([I], []),
  /** Answers count << 32 | bytes of a list of texts that end with a NUL. */
  get_header_names: answers([I, I, I], [L]),
  get_header_values: answers([I, I, I, I, I], [L]),
  set_header_value: answers([I, I, I, I, I], []),
  add_header_value: answers([I, I, I, I, I], []),
  remove_header: answers([I, I, I], []),
  /** Answers end << 32 | bytes. */
  read_body: answers([I, I, I], [L]),
  write_body: answers([I, I, I], []),
} as const satisfies Readonly<Record<string, Signature>>;

export const HANDLER_EXPORTS = {
  /** → context << 32 | next: 1 to go on, 0 to answer. */
  handle_request: answers([], [L]),
  /** (context, 1 where the host had no response). */
  handle_response: answers([I, I], []),
} as const satisfies Readonly<Record<string, Signature>>;

// Features, as bits.
export const FEATURE_BUFFER_REQUEST = 1;
export const FEATURE_BUFFER_RESPONSE = 2;
export const FEATURE_TRAILERS = 4;
export const FEATURES: number = FEATURE_BUFFER_REQUEST | FEATURE_BUFFER_RESPONSE | FEATURE_TRAILERS;

// Kinds of headers; those of bodies are the first two.
export const KIND_REQUEST = 0;
export const KIND_RESPONSE = 1;
export const KIND_REQUEST_TRAILERS = 2;
export const KIND_RESPONSE_TRAILERS = 3;

/** debug −1, info 0, warn 1, error 2, none 3. */
export const LOG_DEBUG = -1;
export const LOG_ERROR = 2;
