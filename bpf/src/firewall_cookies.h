/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
/*
 * SYN cookies (RFC 4987, 3.6) made before there is a socket buffer. While a flood lasts:
 *
 *     SYN, for a listener here        answered in place with the kernel's own cookie; nothing is remembered
 *     ACK, of no known connection     checked; only one that returns a cookie reaches the listener, which checks again
 *     anything else                   goes on
 *
 * Cookies are the kernel's (bpf_tcp_gen_syncookie), so it takes the connection over by itself when the ACK comes. It makes
 * them for programs only while net.ipv4.tcp_syncookies is 2; otherwise SYNs go on to the stack. No options but MSS are
 * agreed on: the kernel hides the others in a time stamp whose offset is its secret.
 */
#ifndef PENSTOCK_FIREWALL_COOKIES_H
#define PENSTOCK_FIREWALL_COOKIES_H

#include <linux/tcp.h>
#include "firewall_helpers.h"

#define TCP_HEADER_MAX 60
#define TCP_OPTION_MSS 2
#define TTL_DEFAULT 64
#define IPV4_DONT_FRAGMENT bpf_htons(0x4000)
/* Twenty segments: never more than the listener has room for once it takes over, and no scale is agreed on. */
#define WINDOW 29200
#define MTU_DEFAULT 1500
#define MTU_MIN 576
#define MTU_MAX 65535
#define NETWORK_MAX (sizeof(struct ethhdr) + VLAN_TAGS_MAX * sizeof(struct vlan_tag))

#define FLAG_FIN 0x01
#define FLAG_SYN 0x02
#define FLAG_RST 0x04
#define FLAG_ACK 0x10

/* What the answer has besides what it takes from the SYN. */
struct answer_options {
	__u8 mss_kind;
	__u8 mss_length;
	__be16 mss;
};

struct tcp_answer {
	struct tcphdr tcp;
	struct answer_options options;
};

/* A SYN that can be answered: everything copied, since the packet is cut to length before the answer is written. */
struct syn {
	__u64 cookie;
	__be32 sequence;
	__be16 client;
	__be16 server;
	__u16 network;
};

/*
 * Counts a SYN; whether it is one of a flood. The window is set back by one CPU, and others may count into it a moment
 * before that: some SYNs too few of thousands, where one lock for all CPUs would cost every SYN.
 */
static __always_inline int syn_in_flood(void)
{
	__u64 now = bpf_ktime_get_boot_ns();
	__u64 second = now / SECOND_NS;
	__u64 was = *(volatile __u64 *)&firewall_flood.second;
	__u64 syns;

	if (was != second && __sync_val_compare_and_swap(&firewall_flood.second, was, second) == was)
		*(volatile __u64 *)&firewall_flood.syns = 0;
	syns = __sync_fetch_and_add(&firewall_flood.syns, 1);
	/* Written seldom: every CPU reads it for every segment. */
	if (syns >= firewall_config.syns_per_second && firewall_flood.until_ns < now + FLOOD_NS / 2)
		*(volatile __u64 *)&firewall_flood.until_ns = now + FLOOD_NS;
	return now < *(volatile __u64 *)&firewall_flood.until_ns;
}

static __always_inline int flood_lasts(void)
{
	__u64 until = *(volatile __u64 *)&firewall_flood.until_ns;

	return until && bpf_ktime_get_boot_ns() < until;
}

/* Who has this connection, or would take it: to be released. 0: nobody here. `ip` and `tcp` are whole. */
static __always_inline struct bpf_sock *socket_of(struct xdp_md *ctx, void *ip, struct tcphdr *tcp, int v4)
{
	struct bpf_sock_tuple tuple = {};

	if (v4) {
		struct iphdr *header = ip;

		tuple.ipv4.saddr = header->saddr;
		tuple.ipv4.daddr = header->daddr;
		tuple.ipv4.sport = tcp->source;
		tuple.ipv4.dport = tcp->dest;
		return bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	}
	__builtin_memcpy(tuple.ipv6.saddr, &((struct ipv6hdr *)ip)->saddr, sizeof(tuple.ipv6.saddr));
	__builtin_memcpy(tuple.ipv6.daddr, &((struct ipv6hdr *)ip)->daddr, sizeof(tuple.ipv6.daddr));
	tuple.ipv6.sport = tcp->source;
	tuple.ipv6.dport = tcp->dest;
	return bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
}

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* Of the answer, over its pseudo header (RFC 9293, 3.1; RFC 8200, 8.1). `addresses`: both, next to each other. */
static __always_inline __u16 tcp_checksum(struct tcp_answer *answer, void *addresses, __u32 address_bytes)
{
	__u64 sum = bpf_csum_diff(0, 0, (__be32 *)answer, sizeof(*answer), 0);

	sum = bpf_csum_diff(0, 0, addresses, address_bytes, sum);
	return fold(sum + bpf_htons(IPPROTO_TCP) + bpf_htons(sizeof(*answer)));
}

static __always_inline void write_tcp(struct tcp_answer *answer, const struct syn *syn, __u16 mss)
{
	struct tcphdr *tcp = &answer->tcp;

	__builtin_memset(answer, 0, sizeof(*answer));
	tcp->source = syn->server;
	tcp->dest = syn->client;
	tcp->seq = bpf_htonl((__u32)syn->cookie);
	tcp->ack_seq = bpf_htonl(bpf_ntohl(syn->sequence) + 1);
	tcp->doff = sizeof(*answer) / 4;
	tcp->syn = 1;
	tcp->ack = 1;
	tcp->window = bpf_htons(WINDOW);
	answer->options.mss_kind = TCP_OPTION_MSS;
	answer->options.mss_length = sizeof(answer->options);
	answer->options.mss = bpf_htons(mss);
}

static __always_inline void write_v4(struct iphdr *ip, struct tcp_answer *answer, const struct syn *syn, __u32 mtu)
{
	__be32 client = ip->saddr;

	write_tcp(answer, syn, mtu - sizeof(*ip) - sizeof(struct tcphdr));
	ip->saddr = ip->daddr;
	ip->daddr = client;
	answer->tcp.check = tcp_checksum(answer, &ip->saddr, 2 * sizeof(client));
	ip->tos = 0;
	ip->tot_len = bpf_htons(sizeof(*ip) + sizeof(*answer));
	ip->id = 0;
	ip->frag_off = IPV4_DONT_FRAGMENT;
	ip->ttl = TTL_DEFAULT;
	ip->check = 0;
	ip->check = fold(bpf_csum_diff(0, 0, (__be32 *)ip, sizeof(*ip), 0));
}

static __always_inline void write_v6(struct ipv6hdr *ip, struct tcp_answer *answer, const struct syn *syn, __u32 mtu)
{
	struct in6_addr client = ip->saddr;

	write_tcp(answer, syn, mtu - sizeof(*ip) - sizeof(struct tcphdr));
	ip->saddr = ip->daddr;
	ip->daddr = client;
	answer->tcp.check = tcp_checksum(answer, &ip->saddr, 2 * sizeof(client));
	*(__be32 *)ip = bpf_htonl(0x60000000); /* version; no traffic class, no flow label */
	ip->payload_len = bpf_htons(sizeof(*answer));
	ip->hop_limit = TTL_DEFAULT;
}

/* Turns the SYN into its answer, where it lies. 0: it could not be. */
static __always_inline int write_answer(struct xdp_md *ctx, const struct syn *syn, int v4)
{
	__u32 header = v4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	__u64 network = syn->network;
	__u32 length = network + header + sizeof(struct tcp_answer);
	__u8 hardware[ETH_ALEN];
	__u32 mtu = 0;
	struct tcp_answer *answer;
	struct ethhdr *eth;
	void *ip, *end;

	/* Fills in the device's own; that the packet is longer than it says, is of no interest here. */
	bpf_check_mtu(ctx, 0, &mtu, 0, 0);
	if (mtu < MTU_MIN || mtu > MTU_MAX)
		mtu = MTU_DEFAULT;
	/* Can't be more: said for the verifier, which has forgotten how many tags there were, in words that stay. */
	asm volatile("" : "+r"(network));
	if (network > NETWORK_MAX)
		return 0;
	if (bpf_xdp_adjust_tail(ctx, (int)length - (int)bpf_xdp_get_buff_len(ctx)))
		return 0;
	eth = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	ip = (void *)eth + network;
	answer = ip + header;
	if ((void *)(eth + 1) > end || (void *)(answer + 1) > end)
		return 0;
	__builtin_memcpy(hardware, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, hardware, ETH_ALEN);
	if (v4)
		write_v4(ip, answer, syn, mtu);
	else
		write_v6(ip, answer, syn, mtu);
	return 1;
}

/* The kernel's cookie and, above it, the MSS it stands for; negative: it makes none. */
static __always_inline __s64 cookie_of(struct xdp_md *ctx, struct bpf_sock *sk, void *ip, struct tcphdr *tcp, __u16 at,
				       int v4)
{
	/* A header whose length varies can't be handed over where it is: the verifier wants all of its longest form. */
	__u8 header[TCP_HEADER_MAX] = {};
	__u32 length = tcp->doff * 4;

	if (length < sizeof(*tcp) || length > sizeof(header) || bpf_xdp_load_bytes(ctx, at, header, length))
		return -1;
	return bpf_tcp_gen_syncookie(sk, ip, v4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr), (struct tcphdr *)header,
				     length);
}

#define VERDICT_PASS -1

/*
 * What follows judges, and answers an XDP action or VERDICT_PASS; `reason` is what to count the packet under.
 * `ip` and `tcp` are whole and next to each other, `network` bytes into the frame.
 */
static __always_inline int answer_syn(struct xdp_md *ctx, void *ip, struct tcphdr *tcp, __u16 network, int v4,
				      __u32 *reason)
{
	struct bpf_sock *sk = socket_of(ctx, ip, tcp, v4);
	struct syn syn = { .sequence = tcp->seq, .client = tcp->source, .server = tcp->dest, .network = network };
	__s64 cookie;

	if (!sk)
		return VERDICT_PASS;
	/* In TIME_WAIT, or a SYN that is sent again for a connection begun before the flood. */
	if (sk->state != BPF_TCP_LISTEN) {
		bpf_sk_release(sk);
		return VERDICT_PASS;
	}
	cookie = cookie_of(ctx, sk, ip, tcp, network + (v4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr)), v4);
	bpf_sk_release(sk);
	/* The listener's queue is full, or the kernel is not set to make cookies: it will do with the SYN what it can. */
	if (cookie < 0) {
		*reason = COUNT_COOKIE_REFUSED;
		return VERDICT_PASS;
	}
	syn.cookie = cookie;
	if (!write_answer(ctx, &syn, v4)) {
		*reason = COUNT_SYN_UNUSUAL;
		return XDP_DROP;
	}
	*reason = COUNT_COOKIE_SENT;
	return XDP_TX;
}

static __always_inline int check_ack(struct xdp_md *ctx, void *ip, struct tcphdr *tcp, int v4, __u32 *reason)
{
	struct bpf_sock *sk = socket_of(ctx, ip, tcp, v4);
	int valid;

	if (!sk)
		return VERDICT_PASS;
	if (sk->state != BPF_TCP_LISTEN) {
		bpf_sk_release(sk);
		return VERDICT_PASS;
	}
	valid = bpf_tcp_check_syncookie(sk, ip, v4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr), tcp, sizeof(*tcp)) == 0;
	bpf_sk_release(sk);
	*reason = valid ? COUNT_COOKIE_VALID : COUNT_COOKIE_INVALID;
	return valid ? VERDICT_PASS : XDP_DROP;
}

/* The judgement of a TCP segment whose headers stand where they usually do. */
static __always_inline int judge_segment(struct xdp_md *ctx, void *ip, struct tcphdr *tcp, __u16 network, int v4,
					 __u32 *reason)
{
	__u8 flags = ((__u8 *)tcp)[13];

	switch (flags & (FLAG_SYN | FLAG_ACK | FLAG_RST)) {
	case FLAG_SYN:
		if (!syn_in_flood())
			return VERDICT_PASS;
		/* No client sends it, and the kernel makes no cookie for it. */
		if (flags & FLAG_FIN) {
			*reason = COUNT_SYN_UNUSUAL;
			return XDP_DROP;
		}
		return answer_syn(ctx, ip, tcp, network, v4, reason);
	case FLAG_ACK:
		return flood_lasts() ? check_ack(ctx, ip, tcp, v4, reason) : VERDICT_PASS;
	default:
		return VERDICT_PASS;
	}
}

/* A SYN behind IP options, extension headers or in fragments: counted with the others, and in a flood not worth more. */
static __always_inline int judge_indirect(struct xdp_md *ctx, const struct transport *transport, __u32 *reason)
{
	__u8 flags = 0;

	if (bpf_xdp_load_bytes(ctx, transport->offset + 13, &flags, sizeof(flags)))
		return VERDICT_PASS;
	if ((flags & (FLAG_SYN | FLAG_ACK | FLAG_RST)) != FLAG_SYN || !syn_in_flood())
		return VERDICT_PASS;
	*reason = COUNT_SYN_UNUSUAL;
	return XDP_DROP;
}

static __always_inline int guard_listeners(struct xdp_md *ctx, __u32 *reason)
{
	struct transport transport = {};
	void *end = (void *)(long)ctx->data_end;
	__be16 protocol = 0;
	void *ip = packet_network(ctx, &protocol);
	__u16 network = ip - (void *)(long)ctx->data;

	if (!ip || !packet_transport(ctx, &transport) || transport.protocol != IPPROTO_TCP)
		return VERDICT_PASS;
	if (transport.indirect)
		return judge_indirect(ctx, &transport, reason);
	if (protocol == bpf_htons(ETH_P_IP)) {
		struct tcphdr *tcp = ip + sizeof(struct iphdr);

		return (void *)(tcp + 1) > end ? VERDICT_PASS : judge_segment(ctx, ip, tcp, network, 1, reason);
	}
	if (protocol == bpf_htons(ETH_P_IPV6)) {
		struct tcphdr *tcp = ip + sizeof(struct ipv6hdr);

		return (void *)(tcp + 1) > end ? VERDICT_PASS : judge_segment(ctx, ip, tcp, network, 0, reason);
	}
	return VERDICT_PASS;
}

#endif
