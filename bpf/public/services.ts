/**
 * L4 services in XDP, for scripts: the gateway's own balancer (weighted Maglev, flows that stay where they are, direct server
 * return or NAT), driven by whatever a script knows.
 *
 *     const services = bpf.services()
 *     services.set([{ name: "dns", address: "10.0.0.10", port: 53, protocol: "udp", mode: "dsr", devices: ["eth0"], endpoints }])
 *     setInterval(() => services.maintain(), 1000)
 *
 * A change is whole: one that is refused changes nothing. Programs are off when the script ends, however it ends.
 */
import { bpfError } from "#core/errors/bpf.ts";
import { KernelManager } from "#bpf/manager/manager.ts";
import type { CounterFamily } from "#bpf/manager/feature.ts";
import type { ServiceDeclaration, ServiceEndpointDeclaration } from "#bpf/programs/balancer/declaration.ts";

export type L4Endpoint = Pick<ServiceEndpointDeclaration, "address" | "port"> & Partial<ServiceEndpointDeclaration>;

export type L4Service = Omit<ServiceDeclaration, "endpoints" | "flowTimeoutMs"> &
  Partial<Pick<ServiceDeclaration, "flowTimeoutMs">> & { readonly endpoints: readonly L4Endpoint[] };

/** Of a UDP flow without packets, unless a service says otherwise. */
const FLOW_TIMEOUT_MS = 60_000;

export class L4Services {
  readonly #manager = KernelManager.open();

  /** Puts these in the place of those before. Throws PENSTOCK_BPF_SERVICE and its like; then nothing has changed. */
  set(services: readonly L4Service[]): void {
    for (const service of services) checkWords(service);
    const declared = services.map(({ endpoints, flowTimeoutMs = FLOW_TIMEOUT_MS, ...service }) => ({
      ...service,
      flowTimeoutMs,
      endpoints: endpoints.map((endpoint) => ({ weight: 1, drain: false, ...endpoint })),
    }));
    const kernel = { interfaces: [], steering: [], services: declared };
    this.#manager.commit(this.#manager.prepare({ maps: [], kernel, listeners: [] }));
  }

  /** `endpoint`: `10.0.0.1:53`. An endpoint that is not healthy gets no new flows, and loses those it has. */
  setHealth(service: string, endpoint: string, healthy: boolean): boolean {
    return this.#manager.setHealth(service, endpoint, healthy);
  }

  /** What is counted, by service, endpoint and reason: as in the gateway's `/metrics`. */
  counters(): readonly CounterFamily[] {
    return this.#manager.status().counters;
  }

  /** About once a second: hardware addresses that are wanted are asked for. */
  maintain(): void {
    this.#manager.maintain();
  }

  close(): void {
    this.#manager.close();
  }
}

/** What a script has read from a file may be any text; the balancer judges the rest. */
function checkWords({ name, mode, protocol, endpoints }: L4Service): void {
  const wrong =
    mode !== "dsr" && mode !== "nat"
      ? `mode is ${JSON.stringify(mode)}: dsr or nat`
      : protocol !== "tcp" && protocol !== "udp"
        ? `protocol is ${JSON.stringify(protocol)}: tcp or udp`
        : Array.isArray(endpoints)
          ? null
          : "it has no list of endpoints";
  if (wrong !== null) throw bpfError("PENSTOCK_BPF_SERVICE", { detail: `${name}: ${wrong}` });
}
