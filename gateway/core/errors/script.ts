import { thrower } from "#core/errors.ts";

/** Scripts, from file to worker. What goes wrong while they run is in `pipeline.ts`. */
export const SCRIPT_ERRORS = {
  PENSTOCK_SCRIPT_READ: {
    message: "the script can't be read",
    status: 422,
    hint: "`penstock run --script FILE` takes a TypeScript or JavaScript module; what it imports lies beside it",
  },
  PENSTOCK_SCRIPT_IMPORT: {
    message: "a script imports what it can't have",
    status: 422,
    hint: "scripts import `penstock`, `node:` modules, and files beside them by a relative path, written out",
  },
  PENSTOCK_SCRIPT_THREW: {
    message: "the script failed while it was loaded",
    status: 422,
    hint: "the place is named; what ran before goes on",
  },
  PENSTOCK_SCRIPT_KERNEL: {
    message: "this can't be done in the kernel for a script",
    status: 422,
    hint: "objects lie beside the script and are named by a path written out; `attach` belongs to its top level",
  },
  PENSTOCK_SCRIPT_OUTPUT: {
    message: "a file of the script can't be written",
    status: 422,
    hint: 'a path from the script or an absolute one, written out: `tee("./requests.log")`; its folder exists, and it is no link',
  },
  PENSTOCK_SCRIPT_NETWORK: {
    message: "the network is not changed for the script",
    status: 422,
    hint: '`kernel.add("route", { destination: "198.51.100.0/24", gateway: "10.0.0.1" })`, written like this in the script',
  },
  PENSTOCK_SCRIPT_COMMAND: {
    message: "a command of the script can't be run",
    status: 422,
    hint: 'the whole command is written out, words between spaces: `exec("tr a-z A-Z")`, `exec("./report.sh")`; what varies goes by standard input',
  },
  PENSTOCK_SCRIPT_DIFFERS: {
    message: "the workers disagree about what the script listens on or writes",
    status: 422,
    hint: "`listen` and `tee` must not depend on chance, on time, or on which worker it is",
  },
} as const;

export const scriptError = thrower(SCRIPT_ERRORS);
