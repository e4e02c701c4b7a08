/** `import { bpf, netlink, CStruct } from "penstock"`: what scripts get, in a checkout by `node script.ts`. See bpf/public/README.md. */
export { bpf } from "#bpf/public/bpf.ts";
export { CStruct, CUnion } from "#bpf/public/cstruct.ts";
export { netlink } from "#bpf/public/netlink.ts";
export { Data } from "#pipeline/events/data.ts";
export { Message, MessageEnd, MessageStart, StreamEnd } from "#pipeline/events/messages.ts";
export { listen, load, onExit } from "#pipeline/program.ts";
export { pipeline } from "#pipeline/layout/layout.ts";
export { LoadBalancer } from "#pipeline/library/load-balancer.ts";
export { URLRouter } from "#pipeline/library/url-router.ts";
