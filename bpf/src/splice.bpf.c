// SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause)
/*
 * A relay's bytes go from one of its sockets to the other where they arrive, without the process that owns both.
 *
 * The process goes on receiving and sending as if there were no program: whatever the program lets pass reaches it. So all
 * that must be kept is order, and each of both sides says how far it is:
 *
 *     stream   [ taken by the process, on its way | moved here ] next segment
 *                                                               └ goes on here only if it begins exactly there, and the peer takes it
 *
 * A segment beyond that finds the process with bytes in its hands, and passes; it is taken again when the process is empty. After
 * a segment that passed, the process waits until what was moved before is really in the peer's queue (gateway/proxy/stream/sockmap.ts).
 */
#include "splice_helpers.h"

SEC("sk_skb/stream_verdict")
int splice(struct __sk_buff *skb)
{
	__u64 key = bpf_get_socket_cookie(skb);
	struct splice_taken *taken = bpf_map_lookup_elem(&splice_taken, &key);
	struct splice_moved *moved = bpf_map_lookup_elem(&splice_moved, &key);
	struct bpf_sock *sk = skb->sk;
	struct tcp_sock *tcp = sk ? bpf_skc_to_tcp_sock(sk) : 0;
	__u32 offset;
	__u32 end;

	/* A FIN alone: TCP itself has noted it. */
	if (!skb->len)
		return SK_DROP;
	if (!taken || !moved || !tcp)
		return SK_PASS;
	offset = stream_offset(tcp, sequence_of(skb));
	if (!moved->begun) {
		moved->seen = stream_offset(tcp, tcp->copied_seq);
		moved->begun = 1;
	}
	end = offset + skb->len;
	cut_repeated(skb, moved->seen - offset);
	if (!skb->len)
		return SK_DROP;
	moved->seen = end;
	offset = end - skb->len;
	if (offset != (__u32)(taken->bytes + moved->bytes)) {
		count(COUNT_PASSED_BYTES, skb->len);
		return SK_PASS;
	}
	if (!has_room(&key, taken, moved)) {
		count(COUNT_BACKLOGS, 1);
		count(COUNT_PASSED_BYTES, skb->len);
		return SK_PASS;
	}
	moved->bytes += skb->len;
	count(COUNT_REDIRECTED_BYTES, skb->len);
	return bpf_sk_redirect_hash(skb, &splice_sockets, &key, 0);
}

char _license[] SEC("license") = "Dual BSD/GPL";
