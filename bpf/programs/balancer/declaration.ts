/** A service as the balancer is told of it: addresses resolved to IP, defaults filled in. */

export interface ServiceEndpointDeclaration {
  /** An IP address; with DSR of any family, with NAT of the service's. */
  readonly address: string;
  /** NAT: where it listens. DSR: where it is checked; its packets keep the service's port. */
  readonly port: number;
  /** Its share of new flows; 0 is as good as draining. */
  readonly weight: number;
  /** Keeps its flows and gets no new ones. */
  readonly drain: boolean;
}

export interface ServiceDeclaration {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly protocol: "tcp" | "udp";
  readonly mode: "dsr" | "nat";
  /** Where packets arrive: from clients, and with NAT from endpoints too. */
  readonly devices: readonly string[];
  readonly flowTimeoutMs: number;
  /**
   * What endpoints take for the sender. DSR: an address, or a prefix whose other bits are filled in by the flow's hash. NAT:
   * an address that nothing else on this host uses. Absent: the host's own address towards each endpoint.
   */
  readonly source?: string;
  readonly endpoints: readonly ServiceEndpointDeclaration[];
}

/** How an endpoint is called in status, metrics and verdicts of health checks. */
export function endpointName({ address, port }: Pick<ServiceEndpointDeclaration, "address" | "port">): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** `10.0.0.10:53/udp` */
export function serviceAddress(service: Pick<ServiceDeclaration, "address" | "port" | "protocol">): string {
  return `${endpointName(service)}/${service.protocol}`;
}
