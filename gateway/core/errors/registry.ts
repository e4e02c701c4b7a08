import type { ErrorTable } from "#core/errors.ts";
import { SYS_ERRORS } from "./sys.ts";

/** Every code the product can answer with, over all areas. */
export const ERRORS: ErrorTable = { ...SYS_ERRORS };
