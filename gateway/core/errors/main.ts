import { thrower } from "#core/errors.ts";

/** The supervisor, its children and the command line. */
export const MAIN_ERRORS = {
  PENSTOCK_MAIN_RUNNING: {
    message: "a gateway runs on this data directory already",
    status: 409,
    hint: "stop it, or give this one its own with --data",
  },
  PENSTOCK_MAIN_LISTEN: {
    message: "an address can't be listened on",
    status: 409,
    hint: "`ss -ltnp` shows who listens there; ports below 1024 need root or CAP_NET_BIND_SERVICE",
  },
  PENSTOCK_MAIN_MODULE: {
    message: "a module's bytes are missing, or are not those its digest names",
    status: 500,
    hint: "push the plugin again",
  },
  PENSTOCK_MAIN_CHILD: {
    message: "a child process did not do what it was started for",
    status: 500,
    hint: "its own words are on standard error",
  },
  PENSTOCK_MAIN_BUILD_LIMIT: {
    message: "the module took too long, or too much memory, to check",
    status: 422,
    hint: "make the module smaller; the limits are the operator's",
  },
  PENSTOCK_MAIN_MAP_FULL: {
    message: "the map is full",
    status: 507,
    hint: "delete entries, or raise maxEntries",
  },
  PENSTOCK_MAIN_UNREADABLE: {
    message: "the gateway's unprivileged processes can't read its files",
    status: 500,
    hint: "`chmod -R go+rX` the checkout, or run the gateway as the user it belongs to",
  },
  PENSTOCK_MAIN_UPGRADE: {
    message: "the running gateway was not upgraded",
    status: 500,
    hint: "it goes on as before; its log says what the new one said",
  },
  PENSTOCK_MAIN_DATA: {
    message: "the data directory can't be used",
    status: 500,
    hint: "it has to be a directory of this user's, or this process root",
  },
} as const;

export const mainError = thrower(MAIN_ERRORS);
