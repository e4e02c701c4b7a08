// SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause)
/* One good program, and one that the verifier must refuse: it reads a packet without asking how long it is. */
#include "common.h"

SEC("xdp")
int accepted(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("xdp")
int refused(struct xdp_md *ctx)
{
	return *(__u8 *)(long)ctx->data;
}

char _license[] SEC("license") = "Dual BSD/GPL";
