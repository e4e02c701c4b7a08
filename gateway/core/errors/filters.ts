import { thrower } from "#core/errors.ts";

/** What a built-in filter finds out only where it runs. */
export const FILTER_ERRORS = {
  PENSTOCK_FILTER_DIRECTORY: {
    message: "the gateway was not given this directory",
    status: 422,
    hint: "files are granted where the gateway is started: `penstock run --files NAME=DIRECTORY`",
  },
  PENSTOCK_FILTER_SECRET: {
    message: "the secret does not fit where it is referred to",
    status: 422,
    hint: "in a header a secret is one line of text; a key for HMAC has at least 32 bytes, in base64url",
  },
} as const;

export const filterError = thrower(FILTER_ERRORS);
