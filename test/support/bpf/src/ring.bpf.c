// SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause)
/* A ring buffer and memory-mapped maps, written by test-runs. */
#include "common.h"

struct event {
	__u64 sequence;
	__u32 length;
	__u8 filling[244];
};

/* For the type information: no map names the type of a ring's records. */
const struct event *unused __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
} events SEC(".maps");

struct sample {
	__u64 total;
	__u32 last;
	__u16 odd;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 300);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct sample);
} samples SEC(".maps");

/* Set before a run; read after it. */
__u32 discard_every = 0;
__u64 sequence;
__u64 lost;
struct sample latest;
const volatile __u32 step = 1;

/* Even numbers: 16 to 238 bytes, copied; odd ones: a whole event, written in place. */
static __always_inline int emit(__u64 number, __u32 length)
{
	struct event *event;

	if (!(number & 1)) {
		struct event copy = { .sequence = number, .length = length };

		/* The verifier does not see what the compiler knows: that it is short enough. */
		asm volatile("" : "+r"(length));
		return length > sizeof(copy) ? -1 : bpf_ringbuf_output(&events, &copy, length, 0);
	}
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event)
		return -1;
	event->sequence = number;
	event->length = length;
	if (discard_every && number % discard_every == 0)
		bpf_ringbuf_discard(event, 0);
	else
		bpf_ringbuf_submit(event, 0);
	return 0;
}

SEC("xdp")
int emits(struct xdp_md *ctx)
{
	__u64 number = sequence;
	__u32 index = number % 300, length = 16 + number % 224;
	struct sample *sample = bpf_map_lookup_elem(&samples, &index);

	sequence += step;
	if (emit(number, length))
		lost++;
	if (sample) {
		sample->total += length;
		sample->last = length;
		sample->odd = number & 1;
		latest = *sample;
	}
	return length;
}

char _license[] SEC("license") = "Dual BSD/GPL";
