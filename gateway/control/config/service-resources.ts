/** L4 services in XDP, as resources: the schemas. What must agree is `kernel-services.ts`' business. */
import * as v from "valibot";
import { fields } from "./fields.ts";
import { deviceName } from "./kernel-devices.ts";
import { choice, integer, list, name, text } from "./primitives.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** As many as the program has places for (bpf/src/balancer_consts.h), less the first. */
const SERVICES_MAX = 255;
const ENDPOINTS_MAX = 1024;
const WEIGHT_MAX = 1000;
const HealthCheck = fields("a service's health check", {
  /** `udp` notices only that nobody listens: silence is taken for health. */
  type: choice("type", ["tcp", "http", "udp"]),
  /** Left out: the endpoint's own. */
  port: v.optional(integer(1, 65_535)),
  path: v.optional(v.pipe(text, v.regex(/^\/[\x21-\x7e]*$/, "a path begins with / and has no spaces")), "/"),
  intervalMs: v.optional(integer(100, HOUR_MS), 5000),
  timeoutMs: v.optional(integer(10, HOUR_MS), 1000),
  healthyThreshold: v.optional(integer(1, 100), 2),
  unhealthyThreshold: v.optional(integer(1, 100), 3),
});

const ServiceEndpoint = fields("an endpoint of a service", {
  /** `10.0.0.1`, or `10.0.0.1:5353`; without a port it is the service's. */
  address: text,
  weight: v.optional(integer(0, WEIGHT_MAX), 1),
  drain: v.optional(v.boolean(), false),
});

export const KernelService = fields("a service", {
  name,
  /** `10.0.0.10:53/udp` */
  address: text,
  mode: v.optional(choice("mode", ["dsr", "nat"]), "dsr"),
  /** Left out: every device of `kernel.interfaces`. */
  devices: v.optional(v.pipe(list(deviceName, 64), v.minLength(1, "name a device, or leave `devices` out"))),
  source: v.optional(text),
  flowTimeoutMs: v.optional(integer(100, DAY_MS)),
  endpoints: list(ServiceEndpoint, ENDPOINTS_MAX),
  healthCheck: v.optional(HealthCheck),
});

export const kernelServices = v.optional(list(KernelService, SERVICES_MAX), []);

export type ServiceResource = v.InferOutput<typeof KernelService>;
