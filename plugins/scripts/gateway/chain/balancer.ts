/** To one of the service's targets. A target has as much load as it has requests that are not answered yet. */
import { LoadBalancer, pipeline } from "penstock";
import { config } from "../config.ts";
import type { Request } from "../context.ts";

type Allocation = ReturnType<LoadBalancer<string>["allocate"]>;
interface Balanced extends Request {
  allocation?: Allocation;
}

const balancers = new Map(
  Object.entries(config.services).map(([name, { targets, balancer = "round-robin" }]) => [
    name,
    new LoadBalancer(targets, { algorithm: balancer }),
  ]),
);

export const balancer = pipeline<Balanced>(($) =>
  $.onEnd((ctx) => ctx.allocation?.free())
    .handleMessageStart((_msg, ctx) => {
      const allocation = balancers.get(ctx.service ?? "")?.allocate(ctx.inbound.remoteAddress);
      if (allocation === undefined) return;
      ctx.allocation = allocation;
      ctx.target = allocation.target;
    })
    .branch(
      (ctx) => ctx.target !== undefined,
      ($) => $.muxHTTP((ctx) => ctx.target).to(($) => $.connect((ctx) => ctx.target)),
      ($) => $.pipeNext(),
    ),
);
