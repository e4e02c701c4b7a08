/**
 * What scripts import as `penstock`: pipelines and what they are made with, a library beside them, and the kernel. Scripts of
 * the gateway run by `penstock run --script`; the kernel's part also works alone, in a checkout by `node script.ts`.
 */
export { bpf } from "#bpf/public/bpf.ts";
export { CStruct, CUnion } from "#bpf/public/cstruct.ts";
export { netlink } from "#bpf/public/netlink.ts";
export { Data } from "#pipeline/events/data.ts";
export { Message, MessageEnd, MessageStart, StreamEnd } from "#pipeline/events/messages.ts";
export { exit, kernel, reload } from "#pipeline/host.ts";
export { listen } from "#pipeline/listen.ts";
export { load, onExit, watch } from "#pipeline/program.ts";
export { pipeline } from "#pipeline/layout/layout.ts";

export { Cache } from "#pipeline/library/cache.ts";
export { LoadBalancer } from "#pipeline/library/load-balancer.ts";
export { IP, Netmask } from "#pipeline/library/netmask.ts";
export { Percentage } from "#pipeline/library/percentage.ts";
export { Quota } from "#pipeline/library/quota.ts";
export { ResourcePool } from "#pipeline/library/resource-pool.ts";
export { Counter, Gauge, Histogram } from "#pipeline/library/stats.ts";
export { URLRouter } from "#pipeline/library/url-router.ts";

export { decodeDns, encodeDns } from "#pipeline/codecs/dns/message.ts";
export { decodeStun, encodeStun } from "#pipeline/codecs/stun/message.ts";
export { topicMatches } from "#pipeline/codecs/mqtt/topics.ts";
export * as YAML from "yaml";

export type { L4Endpoint, L4Service } from "#bpf/public/services.ts";
export type { Context, Inbound } from "#pipeline/layout/context.ts";
export type { DnsMessage, DnsQuestion, DnsRecord } from "#pipeline/codecs/dns/message.ts";
export type { HttpHead } from "#pipeline/http/http-head.ts";
export type { Packet as MqttPacket } from "#pipeline/codecs/mqtt/packets.ts";
export type { LinkSetting, NetlinkMessage, NetworkThings } from "#pipeline/network.ts";
export type { Pipeline } from "#pipeline/layout/pipeline.ts";
export type { SocksRequest } from "#pipeline/codecs/socks/server.ts";
export type { StunMessage } from "#pipeline/codecs/stun/message.ts";
