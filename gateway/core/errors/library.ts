import { thrower } from "#core/errors.ts";

/** What a script gives to the library's classes and is not as they take it. Thrown where the script calls. */
export const LIBRARY_ERRORS = {
  PENSTOCK_LIBRARY_ROUTE: {
    message: "not a route pattern",
    status: 422,
    hint: 'write "/exact/path", "/prefix/*", "/users/:id", or one of them behind a host: "shop.example/*", "*.shop.example/*"',
  },
  PENSTOCK_LIBRARY_DURATION: {
    message: "not a span of time",
    status: 422,
    hint: 'write seconds as a number, or "250ms", "5s", "10m", "1h", "1d"',
  },
  PENSTOCK_LIBRARY_TARGETS: {
    message: "these targets can't be balanced",
    status: 422,
    hint: "each target has a key of its own, a weight from 0 up and a capacity of at least 1",
  },
  PENSTOCK_LIBRARY_OPTION: {
    message: "an option is not what it can be",
    status: 422,
    hint: "the detail names the option and what it takes",
  },
  PENSTOCK_LIBRARY_ADDRESS: {
    message: "not an address of this block",
    status: 422,
    hint: 'write a block as "192.0.2.0/24" or "2001:db8::/32"',
  },
  PENSTOCK_LIBRARY_STATS: {
    message: "not a figure",
    status: 422,
    hint: 'names of figures and labels are lower-case letters, digits and underscores: `new Counter("hits", ["path"])`; bounds of histograms ascend',
  },
} as const;

export const libraryError = thrower(LIBRARY_ERRORS);
