/* SPDX-License-Identifier: Apache-2.0 */
/* poll and ppoll: the descriptors asked for, each with what the call has found. */
#pragma once

#define MAX_POLLED 16 /* as many as users of these events expect; beyond them it counts as cut */

struct polled {
	s32 fd;
	s16 events;
	s16 found;
};

/* A count, then number and state of each. */
static __always_inline void put_polled(struct writer *w, u64 from, u64 count)
{
	struct polled *polled = (struct polled *)w->s->path;
	u8 *out = tail_of(w);
	u64 size;

	if (count > MAX_POLLED) {
		w->s->flags |= RECORD_TRUNCATED_ARGS;
		count = MAX_POLLED;
	}
	size = count * sizeof(*polled);
	BOUND(size, 0xff);
	if (read_user(polled, size, from))
		count = 0;
	*(u16 *)out = count;
	for (u32 i = 0; i < MAX_POLLED; i++) {
		*(s64 *)(out + 2 + 10 * i) = polled[i].fd;
		*(s16 *)(out + 10 + 10 * i) = polled[i].found;
	}
	close_param(w, 2 + 10 * count);
}

int step_poll(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	u32 mask = 0;
	struct writer w;

	if (!s)
		return 0;
	w = start_writer(s, 0);
	put_u64(&w, s->ret);
	put_polled(&w, s->args[0], s->args[1] & 0xffffffff);
	if (s->ops & SYSCALL_PPOLL) {
		put_u64(&w, read_timespec(s->args[2]));
		if (s->args[3])
			read_user(&mask, sizeof(mask), s->args[3]);
		put_u32(&w, mask);
	} else {
		put_u64(&w, (s64)(s32)s->args[2]);
	}
	return end_record(ctx, &w);
}
