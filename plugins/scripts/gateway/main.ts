/**
 * A gateway of chained plugins: each is a pipeline of its own, sees requests on their way in and responses on their way back,
 * and decides by `pipeNext` whether the next one is reached.
 */
import { listen } from "penstock";
import { config } from "./config.ts";
import type { Request } from "./context.ts";
import { balancer } from "./chain/balancer.ts";
import { files } from "./chain/files.ts";
import { jwt } from "./chain/jwt.ts";
import { logging } from "./chain/logging.ts";
import { metrics } from "./chain/metrics.ts";
import { nothing } from "./chain/nothing.ts";
import { router } from "./chain/router.ts";

listen<Request>(config.listen, ($) =>
  $.demuxHTTP().to(($) => $.chain([logging, metrics, files, router, jwt, balancer, nothing])),
);
