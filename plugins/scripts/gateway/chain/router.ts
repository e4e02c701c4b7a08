/** From host and path to the name of a service. */
import { pipeline, URLRouter } from "penstock";
import { config } from "../config.ts";
import type { Request } from "../context.ts";

const routes = new URLRouter(config.routes);

export const router = pipeline<Request>(($) =>
  $.handleMessageStart((msg, ctx) => {
    const service = routes.find(msg.head.headers["host"], msg.head.path);
    if (service !== undefined) ctx.service = service;
  }).pipeNext(),
);
