// SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause)
/*
 * Transparent steering: TCP connections that processes of a cgroup open to chosen ports reach the gateway's listener,
 * and the gateway learns where they wanted to go.
 *
 *   connect4/6   destination -> steer_pending (on the socket), then the address is rewritten
 *   sockops      before the SYN leaves, its source end is known: steer_originals[source] = destination;
 *                taken out when that socket closes
 *   getsockopt   SO_ORIGINAL_DST on the accepted side, for programs that are not ours (our workers read the map)
 *
 * A connect is left alone whenever anything is in doubt: the client then reaches its destination without the gateway,
 * which is what it would have done without us.
 */
#include "steer_helpers.h"

SEC("cgroup/connect4")
int steer_connect4(struct bpf_sock_addr *ctx)
{
	struct endpoint to = {};

	address_from_v4(&to.ip, ctx->user_ip4);
	to.port = (__be16)ctx->user_port;
	if (!should_redirect(ctx, &to, &steer_config.listener4))
		return CONNECT_PROCEED;
	ctx->user_ip4 = steer_config.listener4.ip.word[3];
	ctx->user_port = steer_config.listener4.port;
	return CONNECT_PROCEED;
}

SEC("cgroup/connect6")
int steer_connect6(struct bpf_sock_addr *ctx)
{
	const volatile struct endpoint *listener = &steer_config.listener6;
	struct endpoint to = {};

	to.ip.word[0] = ctx->user_ip6[0];
	to.ip.word[1] = ctx->user_ip6[1];
	to.ip.word[2] = ctx->user_ip6[2];
	to.ip.word[3] = ctx->user_ip6[3];
	to.port = (__be16)ctx->user_port;
	/* ::ffff:a.b.c.d is IPv4 on an IPv6 socket: it can reach the IPv4 listener only. */
	if (address_is_v4(&to.ip))
		listener = &steer_config.listener4;
	if (!should_redirect(ctx, &to, listener))
		return CONNECT_PROCEED;
	ctx->user_ip6[0] = listener->ip.word[0];
	ctx->user_ip6[1] = listener->ip.word[1];
	ctx->user_ip6[2] = listener->ip.word[2];
	ctx->user_ip6[3] = listener->ip.word[3];
	ctx->user_port = listener->port;
	return CONNECT_PROCEED;
}

/*
 * TCP_CONNECT comes when the source port is chosen and before the SYN is sent, so that the record stands before the
 * other side can accept, with TCP Fast Open too; ACTIVE_ESTABLISHED would be too late for that.
 */
SEC("sockops")
int steer_sockops(struct bpf_sock_ops *ctx)
{
	struct bpf_sock *sk;
	struct pending *pending;
	struct endpoint end;

	switch (ctx->op) {
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		sk = ctx->sk;
		if (!sk)
			break;
		pending = bpf_sk_storage_get(&steer_pending, sk, 0, 0);
		if (!pending)
			break;
		local_end(ctx, &end);
		bpf_map_update_elem(&steer_originals, &end, &pending->original, BPF_ANY);
		bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
		break;
	case BPF_SOCK_OPS_STATE_CB:
		/* Other programs may have asked for this callback too: on foreign sockets there is nothing to delete. */
		if (ctx->args[1] != BPF_TCP_CLOSE)
			break;
		sk = ctx->sk;
		if (!sk || !bpf_sk_storage_get(&steer_pending, sk, 0, 0))
			break;
		local_end(ctx, &end);
		bpf_map_delete_elem(&steer_originals, &end);
		break;
	}
	return 1;
}

struct sockaddr_v4 {
	__u16 family;
	__be16 port;
	__be32 address;
	__u8 zero[8];
};

struct sockaddr_v6 {
	__u16 family;
	__be16 port;
	__be32 flow;
	__be32 address[4];
	__u32 scope;
};

SEC("cgroup/getsockopt")
int steer_getsockopt(struct bpf_sockopt *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct endpoint peer = {};
	struct endpoint *original;

	if (ctx->optname != SO_ORIGINAL_DST || (ctx->level != SOL_IP && ctx->level != SOL_IPV6))
		return 1;
	if (!sk || sk->protocol != IPPROTO_TCP)
		return 1;
	if (sk->family == AF_INET6) {
		peer.ip.word[0] = sk->dst_ip6[0];
		peer.ip.word[1] = sk->dst_ip6[1];
		peer.ip.word[2] = sk->dst_ip6[2];
		peer.ip.word[3] = sk->dst_ip6[3];
		barrier();
	} else {
		address_from_v4(&peer.ip, sk->dst_ip4);
	}
	peer.port = sk->dst_port;
	original = bpf_map_lookup_elem(&steer_originals, &peer);
	if (!original)
		return 1;
	if (ctx->level == SOL_IP) {
		struct sockaddr_v4 *v4 = ctx->optval;

		if (!address_is_v4(&original->ip) || (void *)(v4 + 1) > ctx->optval_end)
			return 1;
		__builtin_memset(v4, 0, sizeof(*v4));
		v4->family = AF_INET;
		v4->port = original->port;
		v4->address = original->ip.word[3];
		ctx->optlen = sizeof(*v4);
	} else {
		struct sockaddr_v6 *v6 = ctx->optval;

		if (address_is_v4(&original->ip) || (void *)(v6 + 1) > ctx->optval_end)
			return 1;
		__builtin_memset(v6, 0, sizeof(*v6));
		v6->family = AF_INET6;
		v6->port = original->port;
		v6->address[0] = original->ip.word[0];
		v6->address[1] = original->ip.word[1];
		v6->address[2] = original->ip.word[2];
		v6->address[3] = original->ip.word[3];
		ctx->optlen = sizeof(*v6);
	}
	/* The kernel itself said ENOPROTOOPT, having no connection tracking for it. */
	ctx->retval = 0;
	return 1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
