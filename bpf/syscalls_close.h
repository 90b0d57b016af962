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

#define CLOSED_TYPE_AT 20 /* behind kind and length of the attachment, descriptor and inode */
#define CLOSED_NAME_AT 23 /* behind type and length of the name; files have their flags there too */

static __always_inline u32 kind_of_closed(struct closed *c)
{
	u32 type = c->attachment[CLOSED_TYPE_AT];
	u64 at = type == FD_FILE_V2 ? CLOSED_NAME_AT + 4 : CLOSED_NAME_AT;

	if (type == FD_IPV4 || type == FD_IPV4_LISTEN)
		return CLOSED_IPV4;
	if (type == FD_IPV6 || type == FD_IPV6_LISTEN)
		return CLOSED_IPV6;
	if (type == FD_UNIX)
		return CLOSED_UNIX;
	if (type == FD_UNSUPPORTED || type == FD_PIDFD || type == FD_NETLINK || type == FD_UNKNOWN)
		return CLOSED_NAMELESS;
	c->name_at = at;
	c->name_len = c->attachment[at - 2] | c->attachment[at - 1] << 8;
	if (type == FD_PIPE)
		return c->name_len <= 1 ? CLOSED_PIPE : CLOSED_OTHER;
	if (c->attachment[at] != '/')
		return CLOSED_OTHER; /* a memfd */
	return type == FD_DIRECTORY ? CLOSED_DIRECTORY : CLOSED_FILE;
}

/* Takes over what was noted for the task, whatever becomes of the event, so that no note is left. */
int take_closed(struct bpf_raw_tracepoint_args *ctx)
{
	u32 tid = bpf_get_current_pid_tgid();
	struct closing *noted = map_lookup(MAP_CLOSING, &tid);
	struct scratch *s = this_scratch();
	s64 ret = ctx->args[1];
	struct closed *c;

	if (!s)
		return 0;
	c = &s->closed;
	c->len = 0;
	c->kind = CLOSED_NONE;
	if (noted) {
		/* Another thread was quicker: this call closed nothing. */
		if (ret != -EBADF) {
			copy_closed(c->attachment, noted->attachment, noted->len);
			c->len = noted->len;
			c->flags = noted->flags;
			c->kind = kind_of_closed(c);
		}
		map_delete(MAP_CLOSING, &tid);
	} else if (!ret) {
		count_reason(REASON_NO_DESCRIPTOR);
	} else if (ret != -EBADF) {
		/* Refused before it came to the descriptor, by seccomp for one: it is still there. */
		c->kind = CLOSED_OTHER;
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
	len = s->closed.len;
	if (!len) {
		if (s->closed.kind == CLOSED_OTHER)
			want_attachment(s, ATTACH_FD, s->args[0]);
		return end_record(ctx, &w);
	}
	s->flags |= s->closed.flags;
	s->params_end = w.off;
	copy_closed(tail_of(&w), s->closed.attachment, len);
	w.off += len;
	save_writer(&w);
	run_step(ctx, STEP_FINISH);
	return lost_step(s);
}
