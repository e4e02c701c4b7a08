import { thrower } from "#core/errors.ts";

/** System calls that failed. The detail names the call and the errno. */
export const SYS_ERRORS = {
  PENSTOCK_SYS_CALL: {
    message: "a system call failed",
    status: 500,
    hint: "`penstock doctor` tells what this kernel, container and user allow",
  },
} as const;

export const sysError = thrower(SYS_ERRORS);
