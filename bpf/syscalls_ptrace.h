/* SPDX-License-Identifier: Apache-2.0 */
/* ptrace: addr and data are shown by what the request does with them. */
#pragma once

#define PTRACE_PEEKTEXT 1
#define PTRACE_PEEKUSR 3
#define PTRACE_CONT 7
#define PTRACE_SINGLESTEP 9
#define PTRACE_DETACH 17
#define PTRACE_SYSCALL 24
#define DYN_U64 0
#define DYN_SIGNAL 1

static __always_inline void put_dyn_u64(struct writer *w, u64 value)
{
	u8 *out = tail_of(w);

	out[0] = DYN_U64;
	*(u64 *)(out + 1) = value;
	close_param(w, 9);
}

int step_ptrace(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct writer w;
	u64 request, data;

	if (!s)
		return 0;
	w = start_writer(s, 0);
	request = s->args[0];
	data = s->args[3];
	put_u64(&w, s->ret);
	if (s->ret < 0) {
		put_dyn_u64(&w, 0);
		put_dyn_u64(&w, 0);
	} else {
		put_dyn_u64(&w, s->args[2]);
		if (request >= PTRACE_PEEKTEXT && request <= PTRACE_PEEKUSR) {
			u64 value = 0;

			/* The raw system call stores the word where data points to. */
			read_user(&value, sizeof(value), data);
			put_dyn_u64(&w, value);
		} else if (request == PTRACE_CONT || request == PTRACE_SINGLESTEP ||
			   request == PTRACE_DETACH || request == PTRACE_SYSCALL) {
			u8 *out = tail_of(&w);

			out[0] = DYN_SIGNAL;
			out[1] = data;
			close_param(&w, 2);
		} else {
			put_dyn_u64(&w, data);
		}
	}
	put_u16(&w, request);
	put_u64(&w, (s64)(s32)s->args[1]);
	return end_record(ctx, &w);
}
