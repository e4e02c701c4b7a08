/**
 * L4 services as a feature of the manager. The tables are one for all devices and live as long as there is a service; each
 * device has a program of its own in its chain. Tables change before programs do: a program that comes finds its services.
 */
import type { Declaration } from "#bpf/manager/declarations.ts";
import {
  countersBy,
  type CounterFamily,
  type FeaturePlan,
  type FeatureStatus,
  type KernelFeature,
  type PinSet,
  type PlanContext,
} from "#bpf/manager/feature.ts";
import type { BpfMap } from "#bpf/kernel/map.ts";
import { Balancer, BalancerProgram, type ServiceStatus } from "./balancer.ts";
import type { ServiceTables } from "./tables.ts";

interface DeviceProgram {
  readonly item: BalancerProgram;
  /** The chain it was loaded over. */
  readonly chain: BpfMap;
}

const NOTHING: FeaturePlan = { attach: () => undefined, settle: () => undefined, discard: () => undefined };

export class ServicesFeature implements KernelFeature {
  readonly name = "services";
  #balancer: Balancer | null = null;
  /** By device. */
  #programs = new Map<string, DeviceProgram>();

  plan({ kernel: { services = [] } }: Declaration, context: PlanContext): FeaturePlan {
    const inForce = this.#balancer;
    if (services.length === 0 && inForce === null) return NOTHING;
    const balancer = inForce ?? new Balancer(context.left);
    const programs = new Map<string, DeviceProgram>();
    const discard = (): void => {
      for (const [device, each] of programs) if (this.#programs.get(device) !== each) each.item.close();
      if (balancer !== this.#balancer) balancer.close();
    };
    try {
      const tables = balancer.plan(services);
      for (const device of tables.devices) {
        if (device !== undefined) programs.set(device, this.#planOne(device, balancer, tables, context));
      }
      return {
        attach: (undo) => undo.push(balancer.put(tables)),
        settle: () => this.#settle(services.length === 0 ? null : balancer, programs),
        discard,
      };
    } catch (error) {
      discard();
      throw error;
    }
  }

  #planOne(device: string, balancer: Balancer, tables: ServiceTables, { devices }: PlanContext): DeviceProgram {
    const chain = devices.chain(device);
    const bit = balancer.bitOf(tables, device);
    const known = this.#programs.get(device);
    const keeps = known !== undefined && known.chain === chain && known.item.bit === bit;
    const program = keeps ? known : { item: new BalancerProgram(balancer.maps, bit, chain), chain };
    devices.put(device, "balancer", program.item.program);
    return program;
  }

  #settle(balancer: Balancer | null, programs: Map<string, DeviceProgram>): void {
    for (const [device, old] of this.#programs) if (programs.get(device) !== old) old.item.close();
    this.#programs = programs;
    if (balancer === null) this.#balancer?.close();
    this.#balancer = balancer;
  }

  /** A verdict of a health check; `endpoint`: `10.0.0.1:53`. False: there is no such endpoint, or nothing new. */
  setHealth(service: string, endpoint: string, healthy: boolean): boolean {
    return this.#balancer?.setHealth(service, endpoint, healthy) ?? false;
  }

  services(): ServiceStatus[] {
    return this.#balancer?.status() ?? [];
  }

  /** In the network namespace that the services were put in force in. */
  maintain(): void {
    this.#balancer?.keepNeighbours();
  }

  /** All tables: flows outlive a kill, and go on where they were. */
  pins(): PinSet {
    return { links: new Map(), maps: this.#balancer?.maps.handedOver ?? new Map() };
  }

  takeBack(): void {
    this.#balancer?.rewrite();
  }

  /** Programs are told of by the devices, in whose chains they stand. */
  status(): FeatureStatus {
    const services = this.services();
    return { programs: [], counters: families(services), facts: services.flatMap(facts), neighbours: [] };
  }

  close(): void {
    for (const { item } of this.#programs.values()) item.close();
    this.#programs.clear();
    this.#balancer?.close();
    this.#balancer = null;
  }
}

type Samples = CounterFamily["samples"];

function families(services: readonly ServiceStatus[]): CounterFamily[] {
  if (services.length === 0) return [];
  const counter = (name: string, help: string, samples: Samples): CounterFamily => ({
    name,
    type: "counter",
    help,
    samples,
  });
  const perService = (of: (service: ServiceStatus) => number): Samples =>
    services.map((service) => ({ labels: { service: service.name }, value: of(service) }));
  const perEndpoint = (of: (counters: ServiceStatus["endpoints"][number]) => number): Samples =>
    services.flatMap(({ name, endpoints }) =>
      endpoints.map((each) => ({ labels: { service: name, endpoint: each.name }, value: of(each) })),
    );
  return [
    counter(
      "kernel_service_packets",
      "packets for a service",
      perService(({ counters }) => counters.packets),
    ),
    counter(
      "kernel_service_bytes",
      "their bytes, IP headers included",
      perService(({ counters }) => counters.bytes),
    ),
    counter(
      "kernel_service_flows",
      "flows that were new",
      perService(({ counters }) => counters.flows),
    ),
    counter(
      "kernel_service_return_packets",
      "packets of endpoints that came back through the balancer (nat)",
      perService(({ counters }) => counters.returnPackets),
    ),
    counter(
      "kernel_service_return_bytes",
      "their bytes",
      perService(({ counters }) => counters.returnBytes),
    ),
    counter(
      "kernel_service_exceptions",
      "packets that were not simply sent on, by reason",
      services.flatMap(({ name, counters }) => countersBy({ service: name }, "reason", counters.reasons)),
    ),
    counter(
      "kernel_service_endpoint_packets",
      "packets sent to an endpoint",
      perEndpoint((e) => e.counters.packets),
    ),
    counter(
      "kernel_service_endpoint_bytes",
      "their bytes",
      perEndpoint((e) => e.counters.bytes),
    ),
    counter(
      "kernel_service_endpoint_flows",
      "flows that it was given",
      perEndpoint((e) => e.counters.flows),
    ),
    {
      name: "kernel_service_endpoint_active",
      type: "gauge",
      help: "1: it gets new flows; 0: it is draining or dead",
      samples: perEndpoint(({ state }) => (state === "active" ? 1 : 0)),
    },
  ];
}

function facts({ name, address, mode, devices, endpoints, counters }: ServiceStatus): string[] {
  const active = endpoints.filter(({ state }) => state === "active").length;
  const others = endpoints.filter(({ state }) => state !== "active").map((each) => `${each.name} is ${each.state}`);
  const rest = others.length === 0 ? "" : `; ${others.join(", ")}`;
  const lines = [
    `service ${name} ${address}: ${mode} on ${devices.join(", ")}; ${active} of ${endpoints.length} endpoints get new flows${rest}`,
  ];
  if (counters.reasons.forwardingOff > 0) {
    const switches = "net.ipv4.ip_forward, net.ipv6.conf.all.forwarding";
    lines.push(`service ${name}: packets were dropped because forwarding is off (${switches})`);
  }
  return lines;
}
