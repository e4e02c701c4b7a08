/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
/*
 * ICMP errors about packets of a flow, "too big" above all: without them an endpoint would send what can't arrive, for ever. They come from any router, so
 * the flow is found by the packet that they quote:
 *
 *     quoted    vip:port -> client:port            to the endpoint that owns the flow: encapsulated, or with its own view put in the quote
 *     quoted    source:nat_port -> endpoint:port   NAT: to the client, in the service's name
 */
#ifndef PENSTOCK_BALANCER_ERROR_H
#define PENSTOCK_BALANCER_ERROR_H

#include "balancer_encap.h"
#include "balancer_nat.h"

#define ICMP_HEADER_BYTES 8

struct quote {
	struct ends ends;
	__u8 protocol;
};

/* The quoted headers, in place. A union of families: `v6` of the packet tells. */
static __always_inline void *quoted_ip(struct xdp_md *ctx, const struct packet *packet)
{
	return transport_of(ctx, packet) + ICMP_HEADER_BYTES;
}

static __always_inline int read_quote(struct xdp_md *ctx, const struct packet *packet, struct quote *quote)
{
	void *end = (void *)(long)ctx->data_end;
	void *ip = quoted_ip(ctx, packet);
	struct ports *ports;

	if (packet->v6) {
		struct ipv6hdr *v6 = ip;

		ports = (void *)(v6 + 1);
		if ((void *)ports + 8 > end || v6->version != 6)
			return 0;
		quote->protocol = v6->nexthdr;
		__builtin_memcpy(&quote->ends.source, &v6->saddr, sizeof(quote->ends.source));
		__builtin_memcpy(&quote->ends.destination, &v6->daddr, sizeof(quote->ends.destination));
	} else {
		struct iphdr *v4 = ip;

		ports = (void *)(v4 + 1);
		/* Endpoints send no options, and what else is quoted here comes from a later fragment. */
		if ((void *)ports + 8 > end || v4->version != 4 || v4->ihl != 5 || v4->frag_off & bpf_htons(IP_OFFSET))
			return 0;
		quote->protocol = v4->protocol;
		address_from_v4(&quote->ends.source, v4->saddr);
		address_from_v4(&quote->ends.destination, v4->daddr);
	}
	if (quote->protocol != IPPROTO_TCP && quote->protocol != IPPROTO_UDP)
		return 0;
	quote->ends.source_port = ports->source;
	quote->ends.destination_port = ports->destination;
	return 1;
}

/*
 * Changes what is quoted; answers by how much the sum over the whole error changes. A quoted IPv4 header sums up to the
 * same as before, since its own checksum is mended; IPv6 has none. Of what stands behind, UDP's checksum is in the
 * 8 bytes that are always quoted; TCP's is not, and nobody looks at it.
 */
static __always_inline int rewrite_quote(struct xdp_md *ctx, const struct packet *packet, struct quote *quote,
					 struct ends *to, __u32 *difference)
{
	void *end = (void *)(long)ctx->data_end;
	void *ip = quoted_ip(ctx, packet);
	__u32 addresses = addresses_difference(&quote->ends, to);
	__u64 sum = 0;
	struct udphdr *udp;

	if (packet->v6) {
		struct ipv6hdr *v6 = ip;

		udp = (void *)(v6 + 1);
		if ((void *)(udp + 1) > end)
			return 0;
		__builtin_memcpy(&v6->saddr, &to->source, sizeof(v6->saddr));
		__builtin_memcpy(&v6->daddr, &to->destination, sizeof(v6->daddr));
		sum = addresses;
	} else {
		struct iphdr *v4 = ip;

		udp = (void *)(v4 + 1);
		if ((void *)(udp + 1) > end)
			return 0;
		v4->saddr = to->source.word[3];
		v4->daddr = to->destination.word[3];
		mend(&v4->check, addresses);
	}
	sum += word_difference(udp->source, to->source_port);
	sum += word_difference(udp->dest, to->destination_port);
	udp->source = to->source_port;
	udp->dest = to->destination_port;
	if (quote->protocol == IPPROTO_UDP) {
		__u16 before = udp->check;

		mend_udp(&udp->check, ends_difference(&quote->ends, to));
		sum += word_difference(before, udp->check);
	}
	*difference = fold(sum);
	return 1;
}

/* The error itself from `to->source` to `to->destination`, with `difference` in what it quotes. */
static __always_inline int rewrite_error(struct xdp_md *ctx, struct packet *packet, struct ends *to, __u32 difference)
{
	void *end = (void *)(long)ctx->data_end;
	void *ip = (void *)(long)ctx->data + ETH_HLEN;
	struct icmp *icmp = transport_of(ctx, packet);
	__u32 addresses = addresses_difference(&packet->ends, to);

	/* The checksum is in the same place in both versions of ICMP. */
	if ((void *)(icmp + 1) > end)
		return 0;
	if (packet->v6) {
		struct ipv6hdr *v6 = ip;

		if ((void *)(v6 + 1) > end)
			return 0;
		__builtin_memcpy(&v6->saddr, &to->source, sizeof(v6->saddr));
		__builtin_memcpy(&v6->daddr, &to->destination, sizeof(v6->daddr));
		mend(&icmp->check, fold((__u64)difference + addresses));
	} else {
		struct iphdr *v4 = ip;

		if ((void *)(v4 + 1) > end)
			return 0;
		v4->saddr = to->source.word[3];
		v4->daddr = to->destination.word[3];
		mend(&v4->check, addresses);
		mend(&icmp->check, difference);
	}
	return 1;
}

/* Both rewritings, and out. */
static __always_inline int pass_on(struct xdp_md *ctx, struct packet *packet, struct quote *quote, struct ends *outer,
				   struct ends *quoted, const struct next_hop *hop, __u32 service)
{
	__u32 difference;

	if (!rewrite_quote(ctx, packet, quote, quoted, &difference) || !rewrite_error(ctx, packet, outer, difference))
		return drop_for(service, REASON_MANGLED);
	count_reason(service, REASON_ICMP_ERROR);
	return send_to(ctx, hop, packet->v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP));
}

static __always_inline int nat_error_to_endpoint(struct xdp_md *ctx, struct packet *packet, struct quote *quote,
						 struct owner *owner, struct next_hop *hop, __u64 now)
{
	struct endpoint *endpoint = owner->endpoint;
	struct client client = { &quote->ends.destination, quote->ends.destination_port, endpoint->service };
	struct ends outer = { .source = endpoint->source, .destination = endpoint->address };
	struct ends quoted = { .source = endpoint->address, .destination = endpoint->source };
	struct return_key key;

	return_key(&key, endpoint, quote->protocol);
	if (!endpoint->port_count || !find_port(owner, &client, &key, now))
		return drop_for(endpoint->service, REASON_NO_PORT);
	quoted.source_port = endpoint->port;
	quoted.destination_port = key.nat_port;
	return pass_on(ctx, packet, quote, &outer, &quoted, hop, endpoint->service);
}

/* From the client's side. */
static __noinline int error_to_endpoint(struct xdp_md *ctx, struct packet *packet, struct quote *quote, __u64 now)
{
	__u32 id = 0;
	struct service *service =
		find_service(&quote->ends.source, quote->ends.source_port, quote->protocol, &id);
	struct client client = { &quote->ends.destination, quote->ends.destination_port, id };
	struct next_hop *hop = 0;
	struct owner owner = {};
	int reason;

	/* Errors go to whom the quoted packet came from. */
	if (!service || !same_address(&packet->ends.destination, &quote->ends.source))
		return NOT_OURS;
	if (!known_owner(&client, service, 0, now, &owner)) {
		/* A flow that another node knows, perhaps. With NAT its ports are known to that one only. */
		if (service->mode == MODE_NAT)
			return drop_for(id, REASON_NO_PORT);
		if (!ring_owner(&client, &owner))
			return drop_for(id, REASON_NO_ENDPOINT);
	}
	reason = endpoint_hop(ctx, owner.endpoint, owner.id, now, &hop);
	if (reason != ROUTE_FOUND || !hop)
		return drop_for(id, reason);
	if (!take_hop(ctx, packet))
		return drop_for(id, REASON_TTL);
	if (service->mode == MODE_NAT)
		return nat_error_to_endpoint(ctx, packet, quote, &owner, hop, now);
	if (hop->mtu && packet->bytes + outer_bytes(owner.endpoint) > hop->mtu)
		return drop_for(id, REASON_TOO_BIG_DROPPED);
	count_reason(id, REASON_ICMP_ERROR);
	return encapsulate(ctx, packet, &owner, hop, id);
}

/* From the endpoint's side: the endpoint itself, or a router before it. */
static __noinline int error_to_client(struct xdp_md *ctx, struct packet *packet, struct quote *quote)
{
	struct return_flow *back = find_return(&quote->ends.destination, quote->ends.destination_port,
					       &quote->ends.source, quote->ends.source_port, quote->protocol);
	struct service *service = back ? service_of_return(back) : 0;
	struct next_hop hop = {};
	struct ends outer = {};
	struct ends quoted = {};
	__u32 id;
	int reason;

	if (!service || !same_address(&packet->ends.destination, &quote->ends.source))
		return NOT_OURS;
	id = back->service;
	outer.source = service->address;
	outer.destination = back->client;
	quoted.source = back->client;
	quoted.source_port = back->port;
	quoted.destination = service->address;
	quoted.destination_port = service->port;
	reason = ask_route(ctx, &outer.source, &outer.destination, &hop);
	if (reason != ROUTE_FOUND)
		return drop_for(id, reason);
	if (!take_hop(ctx, packet))
		return drop_for(id, REASON_TTL);
	return pass_on(ctx, packet, quote, &outer, &quoted, &hop, id);
}

#endif
