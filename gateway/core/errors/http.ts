import { thrower } from "#core/errors.ts";

/** Header names that configuration, plugins or code asked for. Bad messages are outcomes, not errors: see http/refusals.ts. */
export const HTTP_ERRORS = {
  PENSTOCK_HTTP_NAME: {
    message: "not a header name",
    status: 400,
    hint: "a header name is made of letters, digits and !#$%&'*+-.^_`|~ (RFC 9110 section 5.6.2), in lower case, 1 to 256 bytes",
  },
  PENSTOCK_HTTP_NAMES_FULL: {
    message: "too many different header names are in use",
    status: 507,
    hint: "one process interns 4095 names over all routes and plugins; name fewer headers",
  },
} as const;

export const httpError = thrower(HTTP_ERRORS);
