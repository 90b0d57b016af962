/* SPDX-License-Identifier: Apache-2.0 */
/* close: what it closed was noted at its entry (hook_close.h), for at its exit the descriptor is
 * gone. While close is wanted, take_closed stands where the filters of other calls stand. */
#pragma once

#define EBADF 9
#define CLOSED_HEAD 64 /* bytes that are copied whatever the length is; enough for all but a path */

/* The bytes of an attachment from one place to another. It is longer than a mask of its rest. */
static __always_inline void copy_closed(u8 *to, const u8 *from, u64 len)
{
	u64 rest = len > CLOSED_HEAD ? len - CLOSED_HEAD : 0;

	read_kernel(to, CLOSED_HEAD, (u64)from);
	BOUND(rest, 0xfff);
	read_kernel(to + CLOSED_HEAD, rest, (u64)from + CLOSED_HEAD);
}

/* Takes over what was noted for the task, whatever becomes of the event, so that no note is left. */
int take_closed(struct bpf_raw_tracepoint_args *ctx)
{
	u32 tid = bpf_get_current_pid_tgid();
	struct closing *noted = map_lookup(MAP_CLOSING, &tid);
	struct scratch *s = this_scratch();
	s64 ret = ctx->args[1];

	if (!s)
		return 0;
	s->closed_len = 0;
	if (noted) {
		/* Another thread was quicker: this call closed nothing. */
		if (ret != -EBADF) {
			copy_closed(s->closed, noted->attachment, noted->len);
			s->closed_len = noted->len;
			s->closed_flags = noted->flags;
		}
		map_delete(MAP_CLOSING, &tid);
	} else if (!ret) {
		count_reason(REASON_NO_DESCRIPTOR);
	}
	tail_call(ctx, MAP_FILTERS, FILTER_CLOSE);
	/* No filter: every close is wanted. */
	tail_call(ctx, MAP_FILTERS, FILTER_RECORD);
	return 0;
}

int step_close(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct writer w;
	u64 len;

	if (!s)
		return 0;
	w = start_writer(s, 0);
	put_u64(&w, s->ret);
	put_u64(&w, (s64)(s32)s->args[0]);
	len = s->closed_len;
	if (!len) {
		/* Refused before it came to the descriptor, by seccomp for one: it is still there. */
		if (s->ret < 0 && s->ret != -EBADF)
			want_attachment(s, ATTACH_FD, s->args[0]);
		return end_record(ctx, &w);
	}
	s->flags |= s->closed_flags;
	s->params_end = w.off;
	copy_closed(tail_of(&w), s->closed, len);
	w.off += len;
	save_writer(&w);
	run_step(ctx, STEP_FINISH);
	return lost_step(s);
}
