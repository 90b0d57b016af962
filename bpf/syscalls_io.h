/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing, on files and sockets: how much, the first bytes of it, and with whom. */
#pragma once

#define SNAPLEN 80
#define MAX_IOVEC 32 /* pieces that are summed up; data beyond them is not shown */

/* s->ops of these calls: options below, then one nibble a parameter from bit 8 on. */
#define IO_VECTOR 1 /* arguments 1 and 2 are an iovec and its length, not a buffer and its size */
#define IO_MSGHDR 2 /* argument 1 is a struct msghdr */
#define IO_SENT 4 /* the data goes out */
#define IO_ADDRESS 8 /* argument 4 is the other end's address */
#define IO_SIZE_IS_RESULT 16 /* how much was transferred, not how much was asked for */

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

struct msghdr_head {
	u64 name;
	u32 name_len;
	u32 pad;
	u64 iov;
	u64 iov_len;
	u64 control;
	u64 control_len;
};

/* Copies at most SNAPLEN bytes behind those that s->path holds. */
static __always_inline void gather(struct scratch *s, u64 from, u64 len)
{
	u64 used = s->io_data_len;

	if (used >= SNAPLEN)
		return;
	if (len > SNAPLEN - used)
		len = SNAPLEN - used;
	BOUND(len, 0x7f);
	BOUND(used, 0x7f);
	if (len && !read_user(s->path + used, len, from))
		s->io_data_len = used + len;
}

int step_io(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct msghdr_head head = {};
	u64 base, count, left, piece[2];

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
	if (s->ops & IO_MSGHDR) {
		read_user(&head, sizeof(head), base);
		base = head.iov;
		count = head.iov_len;
		s->io_address = head.name_len ? head.name : 0;
		s->io_control = head.control;
		s->io_control_len = head.control_len;
	}
	s->io_size = 0;
	/* What is left to be shown: what was transferred, or all that was to be sent. */
	s->aux = s->ret > 0 ? s->ret : s->ops & IO_SENT ? ~0ull : 0;
	for (u32 i = 0; i < MAX_IOVEC; i++) {
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
	run_step(ctx, STEP_IO_PARAMS);
	return lost_step(s);
}

static __always_inline void put_data(struct writer *w)
{
	u64 len = w->s->io_data_len;

	BOUND(len, 0x7f);
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

int step_io_params(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct writer w;
	u32 params, op;
	u64 sk;

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
			put_u32(&w, !(s->ops & IO_SIZE_IS_RESULT) ? s->io_size
				    : s->ret > 0 ? s->ret : 0);
		} else if (op == IO_TUPLE) {
			sk = s->ret >= 0 ? sock_of(s->task, s->args[0]) : 0;
			if (sk)
				put_tuple(&w, sk, s->ops & IO_SENT, s->io_address);
			else
				close_param(&w, 0);
		} else if (op == IO_POS) {
			put_u64(&w, s->args[3]);
		} else if (op == IO_CONTROL) {
			put_control(&w);
		}
	}
	return end_record(ctx, &w);
}
