/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
/*
 * Several XDP programs on one device, in a fixed order, behind one link:
 *
 *     link -> the first of them that is declared
 *     xdp_chain    [ firewall ] -> [ counter ] -> [ balancer ] -> XDP_PASS
 *
 * Each program that lets a packet go on ends with `return chain_pass(ctx, its own slot)`, which runs the next one that
 * is there. A program knows nothing of its neighbours, so any of them is put in, replaced or taken out by one write to
 * its slot, which a packet sees before or after and never half of. The first stands on the link itself, not behind a
 * dispatcher: when the array loses its last holder in user space the kernel empties it, and the firewall still stands.
 *
 * One array for each device: user space puts its own in this one's place (bpf/kernel/xdp-chain.ts). The kernel lets programs of
 * one kind only into an array: all are SEC("xdp.frags").
 */
#ifndef PENSTOCK_CHAIN_H
#define PENSTOCK_CHAIN_H

#include "common.h"

#define CHAIN_FIREWALL 0
#define CHAIN_COUNTER 1
#define CHAIN_BALANCER 2
#define CHAIN_SLOTS 3

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, CHAIN_SLOTS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} xdp_chain SEC(".maps");

/*
 * Runs what comes after `slot`, a constant. Indices are constants too (bpf_tail_call_static), for which the JIT puts in
 * a direct jump, and nothing at all where a slot is empty. Not from a subprogram: only the program itself may leave for good.
 */
static __always_inline int chain_pass(struct xdp_md *ctx, const __u32 slot)
{
	if (slot < CHAIN_COUNTER)
		bpf_tail_call_static(ctx, &xdp_chain, CHAIN_COUNTER);
	if (slot < CHAIN_BALANCER)
		bpf_tail_call_static(ctx, &xdp_chain, CHAIN_BALANCER);
	return XDP_PASS;
}

#endif
