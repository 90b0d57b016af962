/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing, on files and sockets: how much, the first bytes of it, and with whom. */
#pragma once

#define MAX_IOVEC 32 /* pieces that are summed up; data beyond them is not shown */
#define MAX_MESSAGES 16 /* of one sendmmsg or recvmmsg */

/* s->ops of these calls: options below, then one nibble a parameter from bit 8 on. */
#define IO_VECTOR 1 /* arguments 1 and 2 are an iovec and its length, not a buffer and its size */
#define IO_MSGHDR 2 /* argument 1 is a struct msghdr */
#define IO_SENT 4 /* the data goes out */
#define IO_ADDRESS 8 /* argument 4 is the other end's address */
#define IO_SIZE_IS_RESULT 16 /* how much was transferred, not how much was asked for */
#define IO_MESSAGES 32 /* argument 1 is an array of struct mmsghdr: one event a message */

#define IO_DATA 1
#define IO_FD 2
#define IO_SIZE 3
#define IO_TUPLE 4
#define IO_POS 5
#define IO_CONTROL 6
#define IO_PID 7
#define IO_PARAMS 5

/* Where step_io leaves for step_io_params what the arguments say, whatever their form. */
#define io_size kn[0] /* bytes asked for */
#define io_address kn[1] /* sockaddr in user memory */
#define io_control kn[2] /* ancillary data in user memory */
#define io_control_len kn[3]
#define io_data_len kn[4] /* bytes gathered in s->path */
#define io_is_empty kn[5] /* with IO_MESSAGES: no message was transferred */

struct msghdr_head {
	u64 name;
	u32 name_len;
	u32 pad;
	u64 iov;
	u64 iov_len;
	u64 control;
	u64 control_len;
};

/* struct mmsghdr: a message and how much of it was transferred. */
struct message_head {
	struct msghdr_head head;
	u64 flags;
	u32 len;
	u32 pad;
};

/* Copies bytes behind those that s->path holds, as far as the setting allows. */
static __always_inline void gather(struct scratch *s, u64 from, u64 len)
{
	u64 used = s->io_data_len;

	if (used >= SNAPLEN)
		return;
	if (len > SNAPLEN - used)
		len = SNAPLEN - used;
	BOUND(len, 0xfff);
	BOUND(used, 0xfff);
	if (len && !read_user(s->path + used, len, from))
		s->io_data_len = used + len;
}

/* Sums up the pieces, and gathers the first bytes of what was transferred, or of all that was to be
 * sent. */
static __always_inline void gather_pieces(struct scratch *s, u64 base, u64 count)
{
	u64 left, piece[2];

	s->io_size = 0;
	s->aux = s->ret > 0 ? s->ret : s->ops & IO_SENT ? ~0ull : 0;
	for (u32 i = 0; i < MAX_IOVEC; i++) {
		COUNT_UP(i);
		if (i >= count || read_user(piece, sizeof(piece), base + 16 * (u64)i))
			break;
		s->io_size += piece[1];
		left = s->aux;
		if (left > piece[1])
			left = piece[1];
		s->aux -= left;
		gather(s, piece[0], left);
		asm volatile("" ::: "memory");
	}
}

static __always_inline void take_head(struct scratch *s, struct msghdr_head *head)
{
	s->io_address = head->name_len ? head->name : 0;
	s->io_control = head->control;
	s->io_control_len = head->control_len;
}

/* Message `at` of several. Its result is its own: the bytes transferred. */
static __always_inline void take_message(struct scratch *s, struct message_head *message, u64 at)
{
	read_user(message, sizeof(*message), s->args[1] + at * sizeof(*message));
	s->ret = message->len;
	take_head(s, &message->head);
}

int step_io(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct message_head message = {};
	u64 base, count, left;

	if (!s)
		return 0;
	s->io_data_len = 0;
	s->io_control_len = 0;
	s->io_address = s->ops & IO_ADDRESS ? s->args[4] : 0;
	if (!(s->ops & (IO_MSGHDR | IO_VECTOR))) {
		s->io_size = s->args[2];
		left = s->ret > 0 ? s->ret : s->ops & IO_SENT ? s->io_size : 0;
		gather(s, s->args[1], left);
		run_step(ctx, STEP_IO_PARAMS);
		return lost_step(s);
	}
	base = s->args[1];
	count = s->args[2];
	if (s->ops & IO_MESSAGES) {
		/* Without a message there is one event all the same, which shows the result. */
		s->io_is_empty = s->ret <= 0;
		if (s->ret > MAX_MESSAGES)
			s->flags |= RECORD_TRUNCATED_ARGS;
		s->messages = s->ret > MAX_MESSAGES ? MAX_MESSAGES - 1 : s->ret > 0 ? s->ret - 1 : 0;
		if (s->ret > 0)
			take_message(s, &message, 0);
		s->message = 0;
	} else if (s->ops & IO_MSGHDR) {
		read_user(&message, sizeof(message.head), base);
		take_head(s, &message.head);
	}
	if (s->ops & IO_MSGHDR) {
		base = message.head.iov;
		count = message.head.iov_len;
	}
	gather_pieces(s, base, count);
	run_step(ctx, STEP_IO_PARAMS);
	return lost_step(s);
}

static __always_inline void put_data(struct writer *w)
{
	u64 len = w->s->io_data_len;

	BOUND(len, 0xfff);
	read_kernel(tail_of(w), len, (u64)w->s->path);
	close_param(w, len);
}

static __always_inline void put_control(struct writer *w)
{
	u64 len = w->s->io_control_len;

	if (w->s->ret < 0 || len > STRING_MAX - 1)
		len = 0;
	BOUND(len, 0xfff);
	if (len && read_user(tail_of(w), len, w->s->io_control))
		len = 0;
	close_param(w, len);
}

static __always_inline void put_size(struct writer *w)
{
	struct scratch *s = w->s;

	put_u32(w, !(s->ops & IO_SIZE_IS_RESULT) ? s->io_size : s->ret > 0 ? s->ret : 0);
}

static __always_inline void put_ends(struct writer *w)
{
	struct scratch *s = w->s;
	bool is_none = s->ret < 0 || (s->ops & IO_MESSAGES && s->io_is_empty);
	u64 sk = is_none ? 0 : sock_of(s->task, s->args[0]);

	if (sk)
		put_tuple(w, sk, s->ops & IO_SENT, s->io_address);
	else
		close_param(w, 0);
}

int step_io_params(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct writer w;
	u32 params, op;

	if (!s)
		return 0;
	w = start_writer(s, 0);
	put_u64(&w, s->ret);
	params = s->ops >> 8;
	for (u32 i = 0; i < IO_PARAMS; i++) {
		op = params & 15;
		params >>= 4;
		forget_position(&w);
		if (!op)
			break;
		if (op == IO_DATA) {
			put_data(&w);
		} else if (op == IO_FD) {
			put_u64(&w, (s64)(s32)s->args[0]);
			want_attachment(s, ATTACH_FD, s->args[0]);
		} else if (op == IO_PID) {
			put_u64(&w, (s64)(s32)s->args[0]);
		} else if (op == IO_SIZE) {
			put_size(&w);
		} else if (op == IO_TUPLE) {
			put_ends(&w);
		} else if (op == IO_POS) {
			put_u64(&w, s->args[3]);
		} else if (op == IO_CONTROL) {
			put_control(&w);
		}
	}
	return end_record(ctx, &w);
}
