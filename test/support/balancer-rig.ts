/** The balancer on the devices of a network of namespaces, without the manager. */
import { XdpChain } from "#bpf/kernel/xdp-chain.ts";
import { Balancer, BalancerProgram, type ServiceStatus } from "#bpf/programs/balancer/balancer.ts";
import type { ServiceDeclaration } from "#bpf/programs/balancer/declaration.ts";
import { DEVICES, ENDPOINTS, VIP4, VIP6, type BalancedNetwork } from "./balanced-network.ts";

export const PORT = 7000;
export type Family = "IPv4" | "IPv6";

/** Programs and chains are its own; the manager has the same in bpf/programs/balancer/feature.ts. */
export class BalancerRig {
  readonly balancer = new Balancer();
  readonly #network: BalancedNetwork;
  readonly #chains: XdpChain[] = [];
  readonly #programs: BalancerProgram[] = [];

  constructor(network: BalancedNetwork) {
    this.#network = network;
  }

  declare(...services: ServiceDeclaration[]): void {
    this.#network.inside(() => {
      const tables = this.balancer.plan(services);
      this.balancer.put(tables);
      for (const device of new Set(services.flatMap(({ devices }) => devices))) {
        if (this.#chains.some((chain) => chain.device === device)) continue;
        const chain = new XdpChain(device);
        const program = new BalancerProgram(this.balancer.maps, this.balancer.bitOf(tables, device), chain.map);
        this.#chains.push(chain);
        this.#programs.push(program);
        chain.change({ balancer: program.program }, "native", []);
      }
    });
  }

  /** Loads the program of each device anew and puts it in the place of the one that is there. */
  replace(): void {
    this.#network.inside(() => {
      for (const [i, chain] of this.#chains.entries()) {
        const old = this.#programs[i];
        if (old === undefined) continue;
        const program = new BalancerProgram(this.balancer.maps, old.bit, chain.map);
        chain.change({ balancer: program.program }, "native", []);
        this.#programs[i] = program;
        old.close();
      }
    });
  }

  status(name = "echo"): ServiceStatus {
    const status = this.balancer.status().find((each) => each.name === name);
    if (status === undefined) throw new Error(`no service ${name}`);
    return status;
  }

  close(): void {
    for (const each of [...this.#chains, ...this.#programs, this.balancer]) each.close();
  }
}

export function service(
  family: Family,
  protocol: "tcp" | "udp",
  mode: "dsr" | "nat",
  change: Partial<ServiceDeclaration> = {},
): ServiceDeclaration {
  const index = family === "IPv4" ? 0 : 1;
  return {
    name: "echo",
    address: [VIP4, VIP6][index] ?? "",
    port: PORT,
    protocol,
    mode,
    devices: mode === "dsr" ? ["gw0"] : DEVICES,
    flowTimeoutMs: 30_000,
    endpoints: Object.values(ENDPOINTS).map((addresses) => ({
      address: addresses[index] ?? "",
      port: PORT,
      weight: 1,
      drain: false,
    })),
    ...change,
  };
}
