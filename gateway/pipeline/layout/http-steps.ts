/** Steps that speak HTTP. */
import { EventSteps } from "./event-steps.ts";

export abstract class HttpSteps<C extends object> extends EventSteps<C> {}
