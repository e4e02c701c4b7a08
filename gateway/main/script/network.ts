/** Changes of the network that scripts ask for, checked, made by rtnetlink in the supervisor's network namespace, and logged. */
import * as v from "valibot";
import { scriptError } from "#core/errors/script.ts";
import { netlink } from "#bpf/public/netlink.ts";
import { RouteSocket } from "#bpf/netlink/route-socket.ts";
import { RTM } from "#bpf/netlink/types.ts";
import type { LogSink } from "#main/supervisor/log.ts";
import type { NetlinkMessage, NetworkRequest } from "#worker/script/protocol.ts";

type Route = ReturnType<typeof netlink.open>;

const count = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffff_ffff));
const THINGS = {
  address: v.strictObject({ device: v.string(), address: v.string() }),
  route: v.strictObject({
    destination: v.string(),
    device: v.optional(v.string()),
    gateway: v.optional(v.string()),
    type: v.optional(v.picklist(["unicast", "local", "blackhole", "unreachable", "prohibit"])),
    table: v.optional(count),
    metric: v.optional(count),
    preferredSource: v.optional(v.string()),
  }),
  neighbour: v.strictObject({ device: v.string(), address: v.string(), hardwareAddress: v.optional(v.string()) }),
};
const LINK = v.strictObject({ up: v.optional(v.boolean()), mtu: v.optional(count) });
const VERBS = v.picklist(["add", "replace", "remove"]);

/** Messages that a script may send as they are: lists, and changes that name no descriptor, which would be one of ours. */
const SENDABLE = new Map<number, string>(
  (Object.entries(RTM) as [string, number][])
    .filter(([name]) => name.startsWith("GET") || /^(?:NEW|DEL)(?:ADDR|ROUTE|NEIGH)$/.test(name))
    .map(([name, type]) => [type, name]),
);

export class ScriptNetwork {
  readonly #log: LogSink;

  constructor(log: LogSink) {
    this.#log = log;
  }

  /** `allowed`: the script's text says that it changes the network. Throws with the reason, which the script gets. */
  serve(request: NetworkRequest, allowed: boolean): unknown {
    if (!allowed)
      throw refused("the script's text has no kernel.add, replace, remove or setLink, and no connect of netlink");
    if (request.op === "netlink") return this.#exchange(request);
    const route = netlink.open();
    try {
      if (request.op === "link") this.#setLink(route, request);
      else this.#change(route, request);
    } finally {
      route.close();
    }
    return undefined;
  }

  #change(route: Route, request: NetworkRequest & { op: "network" }): void {
    const verb = parsed("verb", VERBS, request.verb);
    switch (request.kind) {
      case "address":
        changeAddress(route, verb, parsed("address", THINGS.address, request.value));
        break;
      case "route":
        changeRoute(route, verb, parsed("route", THINGS.route, request.value));
        break;
      case "neighbour":
        changeNeighbour(route, verb, parsed("neighbour", THINGS.neighbour, request.value));
        break;
      default:
        throw refused(`${JSON.stringify(request.kind)}: there are address, route and neighbour`);
    }
    this.#log("info", `the script changes the network: ${verb} ${request.kind}`, { ...request.value });
  }

  #setLink(route: Route, { device, setting }: NetworkRequest & { op: "link" }): void {
    const { up, mtu } = parsed("link", LINK, setting);
    route.setLink(indexOf(route, device), {
      ...(up === undefined ? {} : { up }),
      ...(mtu === undefined ? {} : { mtu }),
    });
    this.#log("info", `the script changes the network: link ${device}`, { ...setting });
  }

  #exchange({ type, flags, body }: NetworkRequest & { op: "netlink" }): NetlinkMessage[] {
    const name = SENDABLE.get(type);
    if (name === undefined)
      throw refused(
        `message ${String(type)}: lists and changes of addresses, routes and neighbours; links are set by kernel.setLink, programs attached by kernel.object`,
      );
    if (!Number.isInteger(flags) || !(body instanceof Uint8Array)) throw refused("a message has flags and bytes");
    const socket = new RouteSocket();
    try {
      const answers = socket.exchange(`RTM_${name}`, type, flags & 0xffff, [Buffer.from(body)]);
      if (!name.startsWith("GET")) this.#log("info", `the script changes the network: RTM_${name}`);
      return answers.map((one) => ({ type: one.type, flags: one.flags, body: Uint8Array.from(one.body) }));
    } finally {
      socket.close();
    }
  }
}

type Verb = v.InferOutput<typeof VERBS>;

function changeAddress(route: Route, verb: Verb, { device, address }: v.InferOutput<typeof THINGS.address>): void {
  const [, ip = "", bits = ""] = /^(.+)\/(\d{1,3})$/.exec(address) ?? [];
  if (ip === "") throw refused(`address ${JSON.stringify(address)}: with its prefix length, 192.0.2.1/24`);
  const key = { index: indexOf(route, device), address: ip, prefixBits: Number(bits) };
  if (verb === "add") route.addAddress(key);
  else if (verb === "replace") route.replaceAddress(key);
  else route.deleteAddress(key);
}

function changeRoute(route: Route, verb: Verb, value: v.InferOutput<typeof THINGS.route>): void {
  const { device, gateway, ...rest } = value;
  const hop = {
    ...(device === undefined ? {} : { index: indexOf(route, device) }),
    ...(gateway === undefined ? {} : { gateway }),
  };
  const said = Object.fromEntries(Object.entries(rest).filter(([, one]) => one !== undefined));
  const whole = {
    destination: rest.destination,
    ...said,
    ...(Object.keys(hop).length === 0 ? {} : { nextHops: [hop] }),
  };
  if (verb === "add") route.addRoute(whole);
  else if (verb === "replace") route.replaceRoute(whole);
  else route.deleteRoute(whole);
}

function changeNeighbour(route: Route, verb: Verb, value: v.InferOutput<typeof THINGS.neighbour>): void {
  const key = { index: indexOf(route, value.device), address: value.address };
  if (verb === "remove") return route.deleteNeighbour(key);
  const { hardwareAddress } = value;
  if (hardwareAddress === undefined) throw refused("neighbour: hardwareAddress is missing");
  if (verb === "add") route.addNeighbour({ ...key, hardwareAddress });
  else route.replaceNeighbour({ ...key, hardwareAddress });
}

function indexOf(route: Route, device: string): number {
  const link = route.link(device);
  if (link === null) throw refused(`there is no device ${JSON.stringify(device)}`);
  return link.index;
}

/** What came over the channel, as its schema has it. */
function parsed<S extends v.GenericSchema>(what: string, schema: S, value: unknown): v.InferOutput<S> {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = v.getDotPath(issue);
  throw refused(`${what}${path === null ? "" : `.${path}`}: ${issue.message}`);
}

function refused(detail: string): Error {
  return scriptError("PENSTOCK_SCRIPT_NETWORK", { detail });
}
