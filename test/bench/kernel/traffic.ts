/** TCP and UDP between namespaces, by way of the balancer and by the same way without it: routed to the endpoint's own address. */
import { ENDPOINTS, VIP4, type BalancedNetwork, type Clients } from "#test/support/balanced-network.ts";
import { BalancerRig, PORT, service } from "#test/support/balancer-rig.ts";
import { median } from "#test/bench/figures.ts";

/** Short ones, whose median is not moved by a timeout that a full ring of a veth device brings now and then. */
const BULK_BYTES = 4 << 20;
const BULKS = 5;
const TRIPS = 2000;

export interface Traffic {
  /** Milliseconds for a MiB there and back. */
  readonly tcpMs: number;
  /** Microseconds for a datagram there and another back, one at a time. */
  readonly udpUs: number;
}

export interface TrafficComparison {
  readonly dsr: Traffic;
  readonly nat: Traffic;
  readonly routed: Traffic;
}

/** Medians over the rounds, in which the three take turns. */
export async function traffic(network: BalancedNetwork, rounds: number): Promise<TrafficComparison> {
  const clients = network.clients();
  widen(network);
  const ways = { dsr: VIP4, nat: VIP4, routed: ENDPOINTS.one[0] } as const;
  const found = { dsr: [] as Traffic[], nat: [] as Traffic[], routed: [] as Traffic[] };
  for (let i = 0; i < rounds; i++) {
    for (const way of ["routed", "dsr", "nat"] as const) {
      const rig = new BalancerRig(network);
      try {
        // The balancer stands in the way of the routed packets too, and lets them pass.
        const mode = way === "nat" ? "nat" : "dsr";
        const [endpoint] = service("IPv4", "tcp", mode).endpoints;
        const endpoints = endpoint === undefined ? [] : [endpoint];
        rig.declare(
          ...(["tcp", "udp"] as const).map((protocol) =>
            service("IPv4", protocol, mode, { name: protocol, endpoints }),
          ),
        );
        found[way].push(await one(clients, ways[way], `${way}${i}`));
      } finally {
        rig.close();
      }
    }
  }
  const middle = (all: readonly Traffic[]): Traffic => ({
    tcpMs: median(all.map(({ tcpMs }) => tcpMs)),
    udpUs: median(all.map(({ udpUs }) => udpUs)),
  });
  return { dsr: middle(found.dsr), nat: middle(found.nat), routed: middle(found.routed) };
}

/** Room for the outer header, as links of direct server return have it where throughput matters. */
function widen({ balancer, endpoints }: BalancedNetwork): void {
  for (const device of ["gw1", "gw2"]) balancer.ip("link", "set", device, "mtu", "1600");
  for (const endpoint of Object.values(endpoints)) endpoint.ip("link", "set", "ep0", "mtu", "1600");
}

async function one(clients: Clients, host: string, key: string): Promise<Traffic> {
  const label = await clients.ask({ op: "open", key, host, port: PORT });
  if (label !== "one") throw new Error(`${host}: ${label}`);
  // Once for the path's MTU and the window.
  await clients.ask({ op: "bulk", key, bytes: 1 << 20 });
  const times: number[] = [];
  for (let i = 0; i < BULKS; i++) {
    const start = performance.now();
    const text = await clients.ask({ op: "bulk", key, bytes: BULK_BYTES });
    times.push((performance.now() - start) / (BULK_BYTES / 2 ** 20));
    if (text !== "same") throw new Error(`${host}: what came back is ${text}`);
  }
  const udpUs = Number(await clients.ask({ op: "trips", key, host, port: PORT, count: TRIPS }));
  if (Number.isNaN(udpUs)) throw new Error(`${host}: datagrams did not come back`);
  await clients.ask({ op: "close", key });
  return { tcpMs: median(times), udpUs };
}
