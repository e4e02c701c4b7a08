import { thrower } from "#core/errors.ts";

/** System calls that failed. The detail names the call and the errno. */
export const SYS_ERRORS = {
  PENSTOCK_SYS_CALL: {
    message: "a system call failed",
    status: 500,
    hint: "`penstock doctor` tells what this kernel, container and user allow",
  },
  PENSTOCK_SYS_UNREACHABLE: {
    message: "an unprivileged process can't reach a directory it needs, because an ancestor is closed to it",
    status: 500,
    hint: "move the checkout and the data directory, open the ancestor with `chmod o+x`, or grant CAP_SYS_ADMIN, with which a private view of it is made",
  },
} as const;

export const sysError = thrower(SYS_ERRORS);
