import { thrower } from "#core/errors.ts";

/** What the admin API answers besides findings about a declaration. */
export const CONTROL_ERRORS = {
  PENSTOCK_CONTROL_NOT_FOUND: {
    message: "no such thing",
    status: 404,
    hint: "/openapi.json lists what there is",
  },
  PENSTOCK_CONTROL_METHOD: {
    message: "the method is not allowed here",
    status: 405,
    hint: "the Allow field lists those that are",
  },
  PENSTOCK_CONTROL_UNAUTHENTICATED: {
    message: "a token is needed",
    status: 401,
    hint: "send `Authorization: Bearer pst_…`; the first start wrote one to admin.token in the data folder",
  },
  PENSTOCK_CONTROL_TOO_MANY: {
    message: "too many attempts with a wrong token",
    status: 429,
    hint: "the Retry-After field says when the next is heard",
  },
  PENSTOCK_CONTROL_MISDIRECTED: {
    message: "the request was meant for another host",
    status: 421,
    hint: "name this machine by its address or as localhost",
  },
  PENSTOCK_CONTROL_CROSS_ORIGIN: {
    message: "a page of another site sent this",
    status: 403,
    hint: "the admin API serves its own pages, and programs, which send no Origin",
  },
  PENSTOCK_CONTROL_KEY_REUSED: {
    message: "the Idempotency-Key was used for another request",
    status: 422,
    hint: "make a new key for each request, and repeat it only with that one",
  },
  PENSTOCK_CONTROL_IN_PROGRESS: {
    message: "the request with this Idempotency-Key is still being worked on",
    status: 409,
    hint: "ask again in a while",
  },
  PENSTOCK_CONTROL_INTERRUPTED: {
    message: "the request with this Idempotency-Key was cut off, and may have been done or not",
    status: 409,
    hint: "look at what is there, and use another key if it is still to be done",
  },
  PENSTOCK_CONTROL_FORBIDDEN: {
    message: "the token's scopes do not allow this",
    status: 403,
    hint: "`penstock token create --scope …` makes one that does",
  },
  PENSTOCK_CONTROL_BAD_REQUEST: {
    message: "the request is malformed",
    status: 400,
    hint: "/openapi.json describes each request",
  },
  PENSTOCK_CONTROL_MEDIA_TYPE: {
    message: "the media type is not taken here",
    status: 415,
    hint: "application/json; application/yaml for a whole declaration; application/merge-patch+json for PATCH; application/wasm for modules",
  },
  PENSTOCK_CONTROL_TOO_LARGE: {
    message: "the body is larger than allowed",
    status: 413,
    hint: "the detail names the bound",
  },
  PENSTOCK_CONTROL_PRECONDITION_REQUIRED: {
    message: "a change must say what it changes",
    status: 428,
    hint: "send `If-Match` with the ETag you read, or `If-None-Match: *` to create",
  },
  PENSTOCK_CONTROL_PRECONDITION_FAILED: {
    message: "it is not what you read any more",
    status: 412,
    hint: "read it again, and repeat the change on what you find",
  },
  PENSTOCK_CONTROL_EXISTS: {
    message: "it is there already, with other content",
    status: 409,
    hint: "choose another name or version",
  },
  PENSTOCK_CONTROL_IN_USE: {
    message: "something else still refers to it",
    status: 409,
    hint: "the findings name what does",
  },
  PENSTOCK_CONTROL_MODULE: {
    message: "the module was refused",
    status: 422,
    hint: "`penstock plugin build` makes modules that pass",
  },
  PENSTOCK_CONTROL_APPLY_REFUSED: {
    message: "the gateway refused the revision; the one before goes on serving",
    status: 422,
    hint: "the findings say who refused it and why",
  },
  PENSTOCK_CONTROL_UNAVAILABLE: {
    message: "the gateway's supervisor does not answer",
    status: 503,
    hint: "what is being served goes on; try again",
  },
  PENSTOCK_CONTROL_MAP: {
    message: "the map can't do this",
    status: 422,
    hint: "`penstock kernel maps` shows each map's key, value and bound",
  },
  PENSTOCK_CONTROL_MAP_FULL: {
    message: "the map is full",
    status: 409,
    hint: "delete entries, or declare it with more `maxEntries`",
  },
  PENSTOCK_CONTROL_STREAMS: {
    message: "too many streams of events are open",
    status: 503,
    hint: "end one of them, or follow /v1/audit page by page",
  },
  PENSTOCK_CONTROL_RECORDING: {
    message: "the process can't be recorded now",
    status: 409,
    hint: "one recording at a time of each process; the detail says what is in the way",
  },
  PENSTOCK_CONTROL_BACKUP: {
    message: "the backup can't be restored",
    status: 422,
    hint: "`penstock backup FILE` makes one; the detail says what is wrong with this",
  },
  PENSTOCK_CONTROL_STORE: {
    message: "the store failed",
    status: 500,
    hint: "the detail names the call; check that the disk is neither full nor read-only",
  },
  PENSTOCK_CONTROL_INTERNAL: {
    message: "the admin API met a bug of its own",
    status: 500,
    hint: "what is being served goes on; the log has the stack",
  },
} as const;

export const controlError = thrower(CONTROL_ERRORS);
