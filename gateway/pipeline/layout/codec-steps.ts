/** Steps that turn bytes into messages and back, for protocols other than HTTP. */
import { HttpSteps } from "./http-steps.ts";

export abstract class CodecSteps<C extends object> extends HttpSteps<C> {}
