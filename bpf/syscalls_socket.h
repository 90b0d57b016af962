/* SPDX-License-Identifier: Apache-2.0 */
/* socket, bind, connect and accept: ends of the connection from the kernel's socket. */
#pragma once

#define EINPROGRESS 115
#define SOCK_TYPE_MASK 0xf

int step_socket(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct writer w;

	if (!s)
		return 0;
	w = start_writer(s, 0);
	put_u64(&w, s->ret);
	put_u32(&w, s->args[0]);
	put_u32(&w, s->args[1]);
	put_u32(&w, s->args[2]);
	put_u32(&w, s->args[1] & ~(u64)SOCK_TYPE_MASK & OPEN_NATIVE_MASK);
	return end_record(ctx, &w);
}

int step_bind(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct writer w;

	if (!s)
		return 0;
	w = start_writer(s, 0);
	put_u64(&w, s->ret);
	put_user_sockaddr(&w, s->args[1], s->args[2]);
	put_u64(&w, (s64)(s32)s->args[0]);
	want_attachment(s, ATTACH_FD, s->args[0]);
	return end_record(ctx, &w);
}

int step_connect(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct writer w;
	u64 sk = 0;

	if (!s)
		return 0;
	w = start_writer(s, 0);
	put_u64(&w, s->ret);
	if (!s->ret || s->ret == -EINPROGRESS)
		sk = sock_of(s->task, s->args[0]);
	if (sk)
		put_tuple(&w, sk, true, s->args[1]);
	else
		close_param(&w, 0);
	put_u64(&w, (s64)(s32)s->args[0]);
	put_user_sockaddr(&w, s->args[1], s->args[2]);
	want_attachment(s, ATTACH_FD, s->args[0]);
	return end_record(ctx, &w);
}

int step_accept(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct writer w;
	u32 length = 0, max = 0;
	u64 sk = 0;

	if (!s)
		return 0;
	w = start_writer(s, 0);
	put_u64(&w, s->ret);
	if (s->ret >= 0)
		sk = sock_of(s->task, s->ret);
	if (sk)
		put_tuple(&w, sk, false, 0);
	else
		close_param(&w, 0);
	sk = sock_of(s->task, s->args[0]);
	if (sk) {
		length = read_u32(sk + OFF_SOCK_BACKLOG);
		max = read_u32(sk + OFF_SOCK_MAX_BACKLOG);
	}
	put_u8(&w, max ? (u64)length * 100 / max : 0);
	put_u32(&w, length);
	put_u32(&w, max);
	if (s->ops & SYSCALL_ACCEPT4)
		put_u32(&w, s->args[3]);
	if (s->ret >= 0)
		want_attachment(s, ATTACH_FD, s->ret);
	return end_record(ctx, &w);
}
