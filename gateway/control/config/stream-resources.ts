/** The parts of listeners, upstreams and routes that streams (TCP, UDP, TLS passed through) and the PROXY protocol add. */
import * as v from "valibot";
import { fields } from "./fields.ts";
import { prefix } from "./prefix.ts";
import { choice, integer, list } from "./primitives.ts";

export const ProxyProtocol = fields("a PROXY protocol", {
  /** Whose headers are believed. Everyone else is refused: whoever could write a header could be anybody. */
  trusted: v.pipe(list(prefix, 1000), v.minLength(1, "name the prefixes of the proxies in front")),
  /** False: a trusted client may begin without a header (a health check of the proxy in front). */
  required: v.optional(v.boolean("expected true or false"), true),
});

export const ProxyVersion = choice("proxyProtocol", ["v1", "v2"]);

export const Destination = v.pipe(
  fields("a destination", { prefix: v.optional(prefix), port: v.optional(integer(1, 65_535)) }),
  v.check(
    (one) => one.prefix !== undefined || one.port !== undefined,
    "a destination has a `prefix`, a `port` or both",
  ),
);
