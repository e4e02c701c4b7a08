/** What the gateway does in the kernel, in the order in which it is planned and attached. A feature more is a line more. */
import { ServicesFeature } from "#bpf/programs/balancer/feature.ts";
import { BindFeature } from "#bpf/programs/bind/feature.ts";
import { InterceptorFeature } from "#bpf/programs/interceptor/feature.ts";
import { SpliceFeature } from "#bpf/programs/splice/feature.ts";
import { TraceFeature } from "#bpf/programs/trace/feature.ts";
import { SteeringFeature } from "#bpf/programs/steer/feature.ts";
import { DeviceFeature } from "./device-feature.ts";
import type { KernelFeature } from "./feature.ts";

export interface Features {
  readonly devices: DeviceFeature;
  readonly steering: SteeringFeature;
  readonly services: ServicesFeature;
  readonly traces: TraceFeature;
  readonly splice: SpliceFeature;
  /** All of them. Devices last: their chains hold what the others put there. */
  readonly all: readonly KernelFeature[];
}

export function makeFeatures(originalDestinationCgroup: string | undefined): Features {
  const devices = new DeviceFeature();
  const steering = new SteeringFeature(originalDestinationCgroup);
  const services = new ServicesFeature();
  const traces = new TraceFeature();
  const splice = new SpliceFeature();
  const all = [steering, new BindFeature(), new InterceptorFeature(), traces, splice, services, devices];
  return { devices, steering, services, traces, splice, all };
}
