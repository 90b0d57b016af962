/* SPDX-License-Identifier: Apache-2.0 */
/* System calls whose event is the result followed by plain arguments. Which kind each parameter is,
 * and which argument it comes from, is told by user space as `ops`, one byte a parameter, so that
 * one program serves all of them. */
#pragma once

/* Lower five bits of an op: the kind. Upper three: the argument; 6 and 7 read as zero. */
#define OP_END 0
#define OP_FD 1 /* descriptor; its facts are attached */
#define OP_DIRFD 2 /* directory that the next path is relative to */
#define OP_PATH 3
#define OP_STRING 4
#define OP_U32 5
#define OP_MODE 6 /* permission and special bits */
#define OP_RESULT_FD 7 /* no parameter: attach the facts of the descriptor returned */
#define OP_OUT_STRING 8 /* string that the call has written; empty when it failed */
#define OP_CWD 9 /* no parameter: attach the working directory, as it is after the call */
#define OP_U64 10
#define OP_S32 11 /* signed 32 bits, widened: a process id, or a descriptor without facts */
#define OP_U16 12
#define OP_U8 13
#define OP_TIMESPEC 14 /* struct timespec in user memory, as ns */
#define OP_DEREF_U64 15 /* the u64 that the argument points to; 0 without one */
#define OP_DEREF_U32 16
#define OP_LIMITS 17 /* two parameters: a struct rlimit that was given */
#define OP_OUT_LIMITS 18 /* the same, written by the call: -1 when it failed */
#define OP_MEMORY 19 /* three parameters: size, resident and swapped kB of the address space */
#define OP_CAPS 20 /* three parameters: the thread's capabilities, after the call */
#define OP_RING 21 /* six parameters: struct io_uring_params up to its features */
#define OP_SEMAPHORES 22 /* six parameters: the first two of `nsops` struct sembuf */
#define OP_COUNT 8
#define AT_FDCWD (-100)

/* Asks for the directory that makes a relative path absolute. */
static __always_inline void want_directory(struct scratch *s, u32 len, u64 start, s32 dirfd, u32 kind)
{
	BOUND(start, 0x7fff);
	if (!len || s->data[start] == '/')
		return;
	if (dirfd == AT_FDCWD)
		want_attachment(s, ATTACH_CWD, 0);
	else
		want_attachment(s, kind, dirfd);
}

static __always_inline u64 read_timespec(u64 from)
{
	u64 time[2] = {};

	if (!from || read_user(time, sizeof(time), from))
		return 0;
	return time[0] * 1000000000ull + time[1];
}

static __always_inline void put_limits(struct writer *w, u64 from, bool is_there)
{
	s64 limits[2] = {-1, -1};

	if (is_there && from && read_user(limits, sizeof(limits), from))
		limits[0] = limits[1] = -1;
	put_u64(w, limits[0]);
	put_u64(w, limits[1]);
}

static __always_inline void put_memory(struct writer *w)
{
	struct memory_use use;

	read_memory_use(&use, w->s->task);
	put_u32(w, use.size);
	put_u32(w, use.resident);
	put_u32(w, use.swapped);
}

static __always_inline void put_caps(struct writer *w)
{
	u64 cred = read_u64(w->s->task + OFF_TASK_CRED);

	put_u64(w, read_u64(cred + OFF_CRED_CAP_INHERITABLE));
	put_u64(w, read_u64(cred + OFF_CRED_CAP_PERMITTED));
	put_u64(w, read_u64(cred + OFF_CRED_CAP_EFFECTIVE));
}

/* `count` neighbouring u32 in user memory; zeros where they cannot be read. */
static __always_inline void put_words(struct writer *w, u64 from, u32 count)
{
	u32 words[6] = {};

	if (from)
		read_user(words, 4 * count, from);
	for (u32 i = 0; i < count; i++)
		put_u32(w, words[i]);
}

static __always_inline void put_semaphores(struct writer *w, u64 from, u32 count)
{
	u16 ops[6] = {}; /* number, operation and flags of each */

	if (from && count)
		read_user(ops, count > 1 ? 12 : 6, from);
	for (u32 i = 0; i < 6; i++)
		put_u16(w, ops[i]);
}

int step_generic(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	s32 dirfd = AT_FDCWD;
	u32 kind = ATTACH_DIRFD, op, len;
	u64 ops, start, value, pointed;
	struct writer w;

	if (!s)
		return 0;
	w = start_writer(s, 0);
	if (s->nparams)
		put_u64(&w, s->ret);
	ops = s->ops;
	for (int i = 0; i < OP_COUNT; i++) {
		op = ops & 31;
		value = s->args[ops >> 5 & 7];
		ops >>= 8;
		forget_position(&w);
		if (op == OP_END)
			break;
		if (op == OP_FD) {
			put_u64(&w, (s64)(s32)value);
			want_attachment(s, ATTACH_FD, value);
		} else if (op == OP_DIRFD) {
			put_u64(&w, (s64)(s32)value);
			dirfd = value;
		} else if (op == OP_PATH) {
			start = w.off;
			len = put_user_string(&w, value);
			want_directory(s, len, start, dirfd, kind);
			kind = ATTACH_DIRFD2;
		} else if (op == OP_STRING || op == OP_OUT_STRING) {
			put_user_string(&w, op == OP_OUT_STRING && s->ret < 0 ? 0 : value);
		} else if (op == OP_U32) {
			put_u32(&w, value);
		} else if (op == OP_MODE) {
			put_u32(&w, value & 07777);
		} else if (op == OP_U64) {
			put_u64(&w, value);
		} else if (op == OP_S32) {
			put_u64(&w, (s64)(s32)value);
		} else if (op == OP_U16) {
			put_u16(&w, value);
		} else if (op == OP_U8) {
			put_u8(&w, value);
		} else if (op == OP_TIMESPEC) {
			put_u64(&w, read_timespec(value));
		} else if (op == OP_DEREF_U64 || op == OP_DEREF_U32) {
			pointed = 0;
			if (value)
				read_user(&pointed, op == OP_DEREF_U32 ? 4 : 8, value);
			if (op == OP_DEREF_U32)
				put_u32(&w, pointed);
			else
				put_u64(&w, pointed);
		} else if (op == OP_LIMITS || op == OP_OUT_LIMITS) {
			put_limits(&w, value, op == OP_LIMITS || s->ret >= 0);
		} else if (op == OP_MEMORY) {
			put_memory(&w);
		} else if (op == OP_CAPS) {
			put_caps(&w);
		} else if (op == OP_RING) {
			put_words(&w, value, 6);
		} else if (op == OP_SEMAPHORES) {
			put_semaphores(&w, value, s->args[2]);
		} else if (op == OP_RESULT_FD) {
			if (s->ret >= 0)
				want_attachment(s, ATTACH_FD, s->ret);
		} else if (op == OP_CWD) {
			want_attachment(s, ATTACH_CWD, 0);
		}
	}
	return end_record(ctx, &w);
}

/* A call without an event of its own: its number, as everybody and as this processor has it. */
int step_number(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct writer w;

	if (!s)
		return 0;
	w = start_writer(s, 0);
	put_u16(&w, s->ops);
	put_u16(&w, s->ops >> 16);
	return end_record(ctx, &w);
}
