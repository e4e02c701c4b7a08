import type { ErrorTable } from "#core/errors.ts";
import { BPF_ERRORS } from "./bpf.ts";
import { ADDRESS_ERRORS } from "./address.ts";
import { HTTP_ERRORS } from "./http.ts";
import { CLI_ERRORS } from "./cli.ts";
import { CONFIG_ERRORS } from "./config.ts";
import { CONTROL_ERRORS } from "./control.ts";
import { FILTER_ERRORS } from "./filters.ts";
import { LIBRARY_ERRORS } from "./library.ts";
import { MAIN_ERRORS } from "./main.ts";
import { PIPELINE_ERRORS } from "./pipeline.ts";
import { SCRIPT_ERRORS } from "./script.ts";
import { SYS_ERRORS } from "./sys.ts";
import { TLS_ERRORS } from "./tls.ts";
import { WASM_ERRORS } from "./wasm.ts";

/** Every code the product can answer with, over all areas. */
export const ERRORS: ErrorTable = {
  ...BPF_ERRORS,
  ...ADDRESS_ERRORS,
  ...HTTP_ERRORS,
  ...CLI_ERRORS,
  ...CONFIG_ERRORS,
  ...CONTROL_ERRORS,
  ...FILTER_ERRORS,
  ...LIBRARY_ERRORS,
  ...MAIN_ERRORS,
  ...PIPELINE_ERRORS,
  ...SCRIPT_ERRORS,
  ...SYS_ERRORS,
  ...TLS_ERRORS,
  ...WASM_ERRORS,
};
