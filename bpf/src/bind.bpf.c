// SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause)
/*
 * Inbound steering: any range of ports on any prefix of this host's addresses belongs to one listener, which is bound
 * to one port. The stack asks here before it looks for a listening socket; connections that exist are not asked about.
 *
 *     protocol, address ──▶ longest prefix ──▶ range of ports ──▶ the listener's socket
 *                                                    ├──▶ refused: as if nobody listened
 *                                                    └──▶ left: whoever listens gets it
 *
 * The packet is not touched. An accepted TCP socket has the address that the client asked for; answers of UDP leave from
 * the listener's port, and are mended on their way out (bind_reply.h).
 */
#include "bind_reply.h"

static __always_inline int without(const struct bind_range *range, __u32 reason)
{
	count(range->binding, reason);
	return range->closed ? SK_DROP : SK_PASS;
}

static __always_inline int give(struct bpf_sk_lookup *ctx, const struct bind_range *range, const struct ip_address *to)
{
	__u32 slot = range->binding * 2 + (ctx->family == AF_INET6);
	struct bpf_sock *sk;
	long refused;

	if (!lease_is_alive(range->binding))
		return without(range, COUNT_LAPSED);
	sk = bpf_map_lookup_elem(&bind_sockets, &slot);
	if (!sk && ctx->family == AF_INET) {
		/* A listener on [::] takes IPv4 too. */
		slot += 1;
		sk = bpf_map_lookup_elem(&bind_sockets, &slot);
	}
	if (!sk)
		return without(range, COUNT_NO_SOCKET);
	/* Several sockets may share the listener's address: the kernel goes on to choose among them. */
	refused = bpf_sk_assign(ctx, sk, 0);
	bpf_sk_release(sk);
	if (refused)
		return without(range, COUNT_REFUSED);
	if (ctx->protocol == IPPROTO_UDP)
		note_answer(ctx, to, range->binding, slot);
	count(range->binding, COUNT_BOUND);
	return SK_PASS;
}

SEC("sk_lookup")
int bind_lookup(struct bpf_sk_lookup *ctx)
{
	struct bind_prefix key = { .bits = 8 * (sizeof(key.protocol) + sizeof(key.ip)), .protocol = ctx->protocol };
	struct bind_ranges *ranges;
	struct bind_range *range;

	/* An earlier program has chosen: it stays with that. */
	if (ctx->sk)
		return SK_PASS;
	local_address(ctx, &key.ip);
	ranges = bpf_map_lookup_elem(&bind_prefixes, &key);
	if (!ranges)
		return SK_PASS;
	range = range_of(ranges, ctx->local_port);
	if (!range)
		return SK_PASS;
	switch (range->action) {
	case ACTION_BIND:
		return give(ctx, range, &key.ip);
	case ACTION_DENY:
		count(range->binding, COUNT_DENIED);
		return SK_DROP;
	default:
		return SK_PASS;
	}
}

SEC("tcx/egress")
int bind_reply(struct __sk_buff *skb)
{
	return mend(skb, FRAME_HEADER_BYTES);
}

/* For devices without a link header (tunnels). */
SEC("tcx/egress")
int bind_reply_bare(struct __sk_buff *skb)
{
	return mend(skb, 0);
}

char _license[] SEC("license") = "Dual BSD/GPL";
