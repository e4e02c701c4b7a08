import { thrower } from "#core/errors.ts";

/** What the command line meets before the gateway answers. Statuses are those of the nearest HTTP meaning. */
export const CLI_ERRORS = {
  PENSTOCK_CLI_UNREACHABLE: {
    message: "the gateway can't be reached",
    status: 503,
    hint: "`penstock run` starts one here; --server or PENSTOCK_SERVER names another: http://HOST:PORT, or the path of its Unix socket",
  },
  PENSTOCK_CLI_PERMISSION: {
    message: "the gateway's Unix socket may not be opened by this user",
    status: 403,
    hint: "use the user that runs the gateway, or its loopback address with PENSTOCK_TOKEN",
  },
  PENSTOCK_CLI_ANSWER: {
    message: "what answered is no gateway",
    status: 502,
    hint: "check --server and PENSTOCK_SERVER",
  },
  PENSTOCK_CLI_FILE: {
    message: "a file can't be read",
    status: 400,
    hint: "check the path and its permissions",
  },
} as const;

export const cliError = thrower(CLI_ERRORS);
