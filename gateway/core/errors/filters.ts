import { thrower } from "#core/errors.ts";

/** What a built-in filter finds out only where it runs. */
export const FILTER_ERRORS = {
  PENSTOCK_FILTER_DIRECTORY: {
    message: "the gateway was not given this directory",
    status: 422,
    hint: "files are granted where the gateway is started: `penstock run --files NAME=DIRECTORY`",
  },
} as const;

export const filterError = thrower(FILTER_ERRORS);
