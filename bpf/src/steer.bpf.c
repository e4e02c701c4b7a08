// SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause)
/*
 * Transparent steering: TCP connections that processes of a cgroup open to chosen ports reach the gateway's listener,
 * and the gateway learns where they wanted to go.
 *
 *   connect4/6      destination -> steer_pending (on the socket), then the address is rewritten
 *   sockops         before the SYN leaves, its source end is known: steer_originals[source] = destination;
 *                   taken out when that socket closes
 *   getpeername4/6  the destination, as if nobody were in between
 *   getsockopt      SO_ORIGINAL_DST on the accepted side, for programs that are not ours (our workers read the map)
 *
 * For datagrams, to a listener of UDP:
 *
 *   connect4/6, sendmsg4/6   destination -> steer_datagrams (on the socket), then the address is rewritten
 *   egress                   on the first packet the source end is known: steer_originals[source] = destination
 *   recvmsg4/6               answers come from the destination, to whoever asks where from
 *   sock_release             takes the record out
 *
 * A connect is left alone whenever anything is in doubt: the client then reaches its destination without the gateway,
 * which is what it would have done without us.
 */
#include "steer_helpers.h"

static __always_inline int redirect4(struct bpf_sock_addr *ctx, int datagram)
{
	struct endpoint to = {};

	address_from_v4(&to.ip, ctx->user_ip4);
	to.port = (__be16)ctx->user_port;
	if (!(datagram ? should_redirect_datagram(ctx, &to, &steer_config.listener4)
		       : should_redirect(ctx, &to, &steer_config.listener4)))
		return PROCEED;
	ctx->user_ip4 = steer_config.listener4.ip.word[3];
	ctx->user_port = steer_config.listener4.port;
	return PROCEED;
}

static __always_inline void user_address6(struct bpf_sock_addr *ctx, struct endpoint *end)
{
	end->ip.word[0] = ctx->user_ip6[0];
	end->ip.word[1] = ctx->user_ip6[1];
	end->ip.word[2] = ctx->user_ip6[2];
	end->ip.word[3] = ctx->user_ip6[3];
	end->port = (__be16)ctx->user_port;
}

static __always_inline int redirect6(struct bpf_sock_addr *ctx, int datagram)
{
	const volatile struct endpoint *listener = &steer_config.listener6;
	struct endpoint to = {};

	user_address6(ctx, &to);
	/* ::ffff:a.b.c.d is IPv4 on an IPv6 socket: it can reach the IPv4 listener only. */
	if (address_is_v4(&to.ip))
		listener = &steer_config.listener4;
	if (!(datagram ? should_redirect_datagram(ctx, &to, listener) : should_redirect(ctx, &to, listener)))
		return PROCEED;
	ctx->user_ip6[0] = listener->ip.word[0];
	ctx->user_ip6[1] = listener->ip.word[1];
	ctx->user_ip6[2] = listener->ip.word[2];
	ctx->user_ip6[3] = listener->ip.word[3];
	ctx->user_port = listener->port;
	return PROCEED;
}

SEC("cgroup/connect4")
int steer_connect4(struct bpf_sock_addr *ctx)
{
	return redirect4(ctx, steer_config.protocol == IPPROTO_UDP);
}

SEC("cgroup/connect6")
int steer_connect6(struct bpf_sock_addr *ctx)
{
	return redirect6(ctx, steer_config.protocol == IPPROTO_UDP);
}

/* Of sends to an address; those of a connected socket don't come here. Mapped addresses come to the first of the two. */
SEC("cgroup/sendmsg4")
int steer_sendmsg4(struct bpf_sock_addr *ctx)
{
	return redirect4(ctx, 1);
}

SEC("cgroup/sendmsg6")
int steer_sendmsg6(struct bpf_sock_addr *ctx)
{
	return redirect6(ctx, 1);
}

/* Who asks for the other end, of a connection or of a datagram that came, is told what it knows it by. */
static __always_inline int restore4(struct bpf_sock_addr *ctx)
{
	struct endpoint at = {};
	struct endpoint *original;

	address_from_v4(&at.ip, ctx->user_ip4);
	at.port = (__be16)ctx->user_port;
	original = redirected_from(ctx, &at);
	if (original && address_is_v4(&original->ip)) {
		ctx->user_ip4 = original->ip.word[3];
		ctx->user_port = original->port;
	}
	return PROCEED;
}

static __always_inline int restore6(struct bpf_sock_addr *ctx)
{
	struct endpoint at = {};
	struct endpoint *original;

	user_address6(ctx, &at);
	original = redirected_from(ctx, &at);
	if (original) {
		ctx->user_ip6[0] = original->ip.word[0];
		ctx->user_ip6[1] = original->ip.word[1];
		ctx->user_ip6[2] = original->ip.word[2];
		ctx->user_ip6[3] = original->ip.word[3];
		ctx->user_port = original->port;
	}
	return PROCEED;
}

SEC("cgroup/recvmsg4")
int steer_recvmsg4(struct bpf_sock_addr *ctx)
{
	return restore4(ctx);
}

SEC("cgroup/recvmsg6")
int steer_recvmsg6(struct bpf_sock_addr *ctx)
{
	return restore6(ctx);
}

SEC("cgroup/getpeername4")
int steer_getpeername4(struct bpf_sock_addr *ctx)
{
	return restore4(ctx);
}

SEC("cgroup/getpeername6")
int steer_getpeername6(struct bpf_sock_addr *ctx)
{
	return restore6(ctx);
}

/*
 * Every packet that leaves the cgroup comes by here while datagrams are steered. A socket that has nothing on record is
 * told from one that has by its storage alone, which costs no hash. The record stands before the receiver can look.
 */
SEC("cgroup_skb/egress")
int steer_egress(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	struct datagrams *datagrams;
	struct endpoint source = {};

	sk = sk ? bpf_sk_fullsock(sk) : 0;
	if (!sk || sk->protocol != IPPROTO_UDP)
		return SKB_PASS;
	datagrams = bpf_sk_storage_get(&steer_datagrams, sk, 0, 0);
	if (!datagrams || !source_of(skb, &source))
		return SKB_PASS;
	/* Of a socket that sends from one address now and from another later, the last is on record. */
	if (same_endpoint(&datagrams->source, &source))
		return SKB_PASS;
	if (datagrams->source.port)
		bpf_map_delete_elem(&steer_originals, &datagrams->source);
	bpf_map_update_elem(&steer_originals, &source, &datagrams->pending.original, BPF_ANY);
	datagrams->source = source;
	return SKB_PASS;
}

SEC("cgroup/sock_release")
int steer_release(struct bpf_sock *sk)
{
	struct datagrams *datagrams;

	if (sk->protocol != IPPROTO_UDP)
		return 1;
	datagrams = bpf_sk_storage_get(&steer_datagrams, sk, 0, 0);
	if (datagrams && datagrams->source.port)
		bpf_map_delete_elem(&steer_originals, &datagrams->source);
	return 1;
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
