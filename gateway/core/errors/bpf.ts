import { thrower } from "#core/errors.ts";

/** The kernel part: object files, maps, programs, links, network interfaces and cgroups. */
export const BPF_ERRORS = {
  PENSTOCK_BPF_OBJECT: {
    message: "not a usable BPF object file",
    status: 422,
    hint: "rebuild it with clang -O2 -g -target bpf; the detail names the section and the offset",
  },
  PENSTOCK_BPF_TYPES: {
    message: "BPF type information and value do not agree",
    status: 422,
    hint: "compare the value with the C declaration of the map or variable",
  },
  PENSTOCK_BPF_UNAVAILABLE: {
    message: "the kernel part is not available here",
    status: 501,
    hint: "`penstock doctor` names what is missing and what is used instead",
  },
  PENSTOCK_BPF_CALL: {
    message: "a bpf call failed",
    status: 500,
    hint: "`penstock doctor` tells what this kernel, container and user allow",
  },
  PENSTOCK_BPF_VERIFIER: {
    message: "the kernel's verifier refused a program",
    status: 422,
    hint: "the error's log is the verifier's own, whole; nothing was attached",
  },
  PENSTOCK_BPF_ATTACH: {
    message: "a program could not be attached",
    status: 409,
    hint: "`penstock kernel status` shows programs of others at the same place; they are never replaced",
  },
  PENSTOCK_BPF_DEVICE: {
    message: "no such network interface",
    status: 422,
    hint: "`ip link` lists the interfaces of this network namespace",
  },
  PENSTOCK_BPF_CGROUP: {
    message: "not a cgroup that can be steered",
    status: 422,
    hint: "give a directory of the cgroup2 hierarchy that exists and is not the gateway's own",
  },
  PENSTOCK_BPF_MAP_UNKNOWN: {
    message: "no such map",
    status: 404,
    hint: "declare it under kernel.maps",
  },
  PENSTOCK_BPF_MAP_FULL: {
    message: "the map is full",
    status: 507,
    hint: "delete entries, give them a lifetime, or raise maxEntries",
  },
  PENSTOCK_BPF_MAP_TEXT: {
    message: "key or value does not fit the map",
    status: 422,
    hint: "ip: 203.0.113.7; ip-prefix: 203.0.113.0/24; bytes: hexadecimal; counter: a decimal number",
  },
  PENSTOCK_BPF_SERVICE: {
    message: "a service can't be balanced as declared",
    status: 422,
    hint: "the detail names the service, the endpoint or the device under kernel.services",
  },
  PENSTOCK_BPF_BINDING: {
    message: "a binding can't be made as declared",
    status: 422,
    hint: "the detail names the binding, or the prefix, under kernel.bindings",
  },
  PENSTOCK_BPF_NETLINK: {
    message: "a netlink request failed",
    status: 500,
    hint: "the detail is the kernel's own message where it gave one",
  },
} as const;

export const bpfError = thrower(BPF_ERRORS);
