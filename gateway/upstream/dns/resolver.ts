/**
 * Names to addresses, kept as long as their time to live says and asked for again then. Each worker asks for itself, by
 * its own loop: nothing blocks, names go on being resolved when the control process is gone, and a worker shares nothing.
 *
 * An answer that fails leaves what is known in place: old addresses are better than none. IPv4 addresses are used where a
 * name has both kinds, since not every machine that has IPv6 can reach anything by it.
 */
import { formatIp, parseAddress, readIp } from "#core/address.ts";
import { Alarm } from "#net/alarm.ts";
import type { UpstreamContext } from "#upstream/context.ts";
import { DnsQuery, type Addresses } from "./query.ts";
import { RCODE_NO_NAME } from "./message.ts";
import type { ResolverConfig } from "./system-files.ts";

const QUERY_MS = 2000;
const TTL_MIN_MS = 1000;
const TTL_MAX_MS = 3_600_000;
const RETRY_MIN_MS = 1000;
const RETRY_MAX_MS = 30_000;

type Told = (addresses: readonly string[]) => void;

interface Name {
  readonly name: string;
  readonly alarm: Alarm;
  readonly watchers: Set<Told>;
  /** IP addresses as text, in order. */
  addresses: readonly string[];
  /** An answer has come, be it a bad one. */
  asked: boolean;
  failures: number;
  /** Why the last answer was none; empty when it was good. */
  error: string;
  query: DnsQuery | null;
}

export class Resolver {
  readonly #context: UpstreamContext;
  readonly #names = new Map<string, Name>();
  #servers: readonly Uint8Array[] = [];
  #hosts: ReadonlyMap<string, readonly string[]> = new Map();
  /** Queries sent and queries without a usable answer, for the counters. */
  queries = 0;
  failures = 0;

  constructor(context: UpstreamContext) {
    this.#context = context;
  }

  /** From now on these are asked. Addresses that are known stay until their time is over. */
  configure(config: ResolverConfig): void {
    this.#servers = config.servers.map((address) => parseAddress(address));
    this.#hosts = config.hosts;
  }

  /** Tells the addresses of a name when they change, first when they are known; until the answered function is called. */
  watch(text: string, told: Told): () => void {
    const key = text.toLowerCase().replace(/\.$/, "");
    let name = this.#names.get(key);
    if (name === undefined) {
      name = this.#begin(key);
      this.#names.set(key, name);
    }
    const entry = name;
    entry.watchers.add(told);
    return () => {
      entry.watchers.delete(told);
      if (entry.watchers.size > 0) return;
      entry.alarm.cancel();
      entry.query?.cancel();
      this.#names.delete(key);
    };
  }

  /** What is known of a name now. */
  addressesOf(text: string): readonly string[] {
    return this.#names.get(text.toLowerCase().replace(/\.$/, ""))?.addresses ?? [];
  }

  /** Every watched name has been answered, well or not. */
  get settled(): boolean {
    for (const name of this.#names.values()) if (!name.asked) return false;
    return true;
  }

  #begin(key: string): Name {
    const name: Name = {
      name: key,
      alarm: new Alarm(this.#context.loop, () => this.#ask(name, 0)),
      watchers: new Set(),
      addresses: [],
      asked: false,
      failures: 0,
      error: "",
      query: null,
    };
    const local = this.#hosts.get(key);
    if (local === undefined) {
      this.#ask(name, 0);
    } else {
      name.addresses = preferred(local);
      name.asked = true;
    }
    return name;
  }

  #ask(name: Name, server: number): void {
    const address = this.#servers[server];
    if (address === undefined) {
      this.#failed(name, name.error === "" ? "no server to ask" : name.error);
      return;
    }
    this.queries++;
    name.query = new DnsQuery(this.#context, address, name.name, QUERY_MS, (answer) => {
      name.query = null;
      if (name.watchers.size === 0) return;
      const fault = typeof answer === "string" ? answer : faultOf(answer);
      if (typeof answer !== "string" && fault === "") this.#answered(name, answer);
      else {
        name.error = fault;
        // Another server knows no other truth than "there is no such name".
        if (fault === NO_NAME) this.#failed(name, fault);
        else this.#ask(name, server + 1);
      }
    });
  }

  #answered(name: Name, { ipv4, ipv6 }: Addresses): void {
    const used = ipv4.addresses.length > 0 ? ipv4 : ipv6;
    const addresses = used.addresses.map(textOf).toSorted();
    const changed = addresses.join(" ") !== name.addresses.join(" ");
    name.addresses = addresses;
    name.asked = true;
    name.failures = 0;
    name.error = "";
    name.alarm.set(Math.min(Math.max(used.ttlSeconds * 1000, TTL_MIN_MS), TTL_MAX_MS));
    if (changed) for (const told of name.watchers) told(addresses);
  }

  #failed(name: Name, error: string): void {
    this.failures++;
    name.asked = true;
    name.error = error;
    name.alarm.set(Math.min(RETRY_MIN_MS * 2 ** name.failures, RETRY_MAX_MS));
    name.failures++;
  }
}

const NO_NAME = "there is no such name";

function faultOf({ ipv4, ipv6 }: Addresses): string {
  if (ipv4.addresses.length > 0 || ipv6.addresses.length > 0) return "";
  const rcode = ipv4.rcode === 0 ? ipv6.rcode : ipv4.rcode;
  if (rcode === RCODE_NO_NAME) return NO_NAME;
  return rcode === 0 ? "the name has no address" : `the server answered with code ${rcode}`;
}

/** 4 bytes or 16. */
function textOf(address: Uint8Array): string {
  if (address.length === 16) return formatIp(address);
  const mapped = new Uint8Array(16);
  mapped.fill(0xff, 10, 12);
  mapped.set(address, 12);
  return formatIp(mapped);
}

/** As from a server: IPv4 where there is any. */
function preferred(addresses: readonly string[]): readonly string[] {
  const ipv4 = addresses.filter((text) => !text.includes(":"));
  return (ipv4.length > 0 ? ipv4 : addresses).filter((text) => typeof readIp(text) !== "string");
}
