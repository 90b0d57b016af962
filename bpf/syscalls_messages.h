/* SPDX-License-Identifier: Apache-2.0 */
/* sendmmsg and recvmmsg: every message behind the first has a record of its own. It differs from the
 * first one's in its parameters alone, so header and attachments are kept: one program a message,
 * of which no more can follow each other than the kernel allows tail calls. */
#pragma once

/* Keeps what the first record says of the socket. */
static __always_inline void keep_attachments(struct scratch *s)
{
	u64 len = s->off - s->params_end, at = s->params_end;

	if (len > sizeof(s->kept) - 1)
		len = 0;
	BOUND(len, 0xff);
	BOUND(at, 0x7fff);
	read_kernel(s->kept, len, (u64)(s->data + at));
	s->kept_len = len;
}

static __always_inline void put_kept(struct writer *w)
{
	u64 len = w->s->kept_len;

	BOUND(len, 0xff);
	read_kernel(tail_of(w), len, (u64)w->s->kept);
	w->off += len;
}

int step_message(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct message_head message = {};
	struct writer w;

	if (!s)
		return 0;
	if (!s->message)
		keep_attachments(s);
	s->message += 1;
	s->messages -= 1;
	s->io_data_len = 0;
	take_message(s, &message, s->message);
	gather_pieces(s, message.head.iov, message.head.iov_len);
	s->off = sizeof(struct record_header) + 2 * s->nparams;
	w = start_writer(s, 0);
	put_u64(&w, s->ret);
	put_u64(&w, (s64)(s32)s->args[0]);
	put_size(&w);
	put_data(&w);
	forget_position(&w);
	put_ends(&w);
	forget_position(&w);
	if (!(s->ops & IO_SENT))
		put_control(&w);
	s->params_end = w.off;
	put_kept(&w);
	save_writer(&w);
	if (has_room(s->code))
		hand_over(s);
	if (s->messages) {
		run_step(ctx, STEP_MESSAGE);
		return lost_step(s);
	}
	s->busy = 0;
	return 0;
}
