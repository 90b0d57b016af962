/* SPDX-License-Identifier: Apache-2.0 */
/* System calls whose parameters depend on what they were asked to do. */
#pragma once

#define PR_SET_NAME 15
#define PR_GET_NAME 16
#define PR_SET_CHILD_SUBREAPER 36
#define PR_GET_CHILD_SUBREAPER 37

#define FSCONFIG_SET_STRING 1
#define FSCONFIG_SET_BINARY 2
#define FSCONFIG_SET_PATH 3
#define FSCONFIG_SET_PATH_EMPTY 4

#define DYN_NUMBER 0
#define DYN_STRING 1

/* pipe, pipe2 and socketpair: the pair of descriptors that the call has written. */
int step_pair(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	s32 pair[2] = {-1, -1};
	struct writer w;
	u64 file, sk = 0;

	if (!s)
		return 0;
	w = start_writer(s, 0);
	put_u64(&w, s->ret);
	if (!s->ret &&
	    read_user(pair, sizeof(pair), s->ops & SYSCALL_SOCKETPAIR ? s->args[3] : s->args[0]))
		pair[0] = pair[1] = -1;
	put_u64(&w, (s64)pair[0]);
	put_u64(&w, (s64)pair[1]);
	if (s->ops & SYSCALL_SOCKETPAIR) {
		if (pair[0] >= 0)
			sk = sock_of(s->task, pair[0]);
		put_u64(&w, sk);
		put_u64(&w, sk ? read_u64(sk + OFF_UNIX_PEER) : 0);
		put_u32(&w, s->args[0]);
		put_u32(&w, s->args[1]);
		put_u32(&w, s->args[2]);
	} else {
		file = pair[0] >= 0 ? file_of(s->task, pair[0]) : 0;
		put_u64(&w, file ? read_u64(read_u64(file + OFF_FILE_INODE) + OFF_INODE_INO) : 0);
		if (s->ops & SYSCALL_PIPE2)
			put_u32(&w, s->args[1] & OPEN_NATIVE_MASK);
	}
	if (pair[0] >= 0) {
		want_attachment(s, ATTACH_FD, pair[0]);
		want_attachment(s, ATTACH_FD, pair[1]);
	}
	return end_record(ctx, &w);
}

int step_prctl(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct writer w;
	u32 option, read_back = 0;

	if (!s)
		return 0;
	option = s->args[0];
	/* Children that a thread with a new name makes ask for it before any event of its own does. */
	if (s->ops & SYSCALL_ONLY_STATE && option != PR_SET_CHILD_SUBREAPER &&
	    option != PR_GET_CHILD_SUBREAPER && option != PR_SET_NAME) {
		s->busy = 0;
		return 0;
	}
	w = start_writer(s, 0);
	put_u64(&w, s->ret);
	put_u32(&w, option);
	if (option == PR_SET_NAME || option == PR_GET_NAME) {
		put_user_string(&w, s->args[1]);
		put_u64(&w, 0);
	} else {
		*tail_of(&w) = 0;
		close_param(&w, 1);
		if (option == PR_GET_CHILD_SUBREAPER) {
			read_user(&read_back, sizeof(read_back), s->args[1]);
			put_u64(&w, read_back);
		} else {
			put_u64(&w, s->args[1]);
		}
	}
	return end_record(ctx, &w);
}

/* Bytes of user memory as a parameter, at most STRING_MAX - 1 of them. */
static __always_inline void put_user_bytes(struct writer *w, u64 from, u64 len)
{
	if (len > STRING_MAX - 1)
		len = STRING_MAX - 1;
	BOUND(len, 0xfff);
	if (len && read_user(tail_of(w), len, from))
		len = 0;
	close_param(w, len);
}

int step_fsconfig(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct writer w;
	u32 command;

	if (!s)
		return 0;
	w = start_writer(s, 0);
	command = s->args[1];
	put_u64(&w, s->ret);
	put_u64(&w, (s64)(s32)s->args[0]);
	put_u32(&w, command);
	put_user_string(&w, s->args[2]);
	forget_position(&w);
	if (s->ret < 0 || command != FSCONFIG_SET_BINARY)
		close_param(&w, 0);
	else
		put_user_bytes(&w, s->args[3], s->args[4] & 0xffffffff);
	forget_position(&w);
	if (s->ret >= 0 && (command == FSCONFIG_SET_STRING || command == FSCONFIG_SET_PATH ||
			    command == FSCONFIG_SET_PATH_EMPTY))
		put_user_string(&w, s->args[3]);
	else
		close_param(&w, 0);
	put_u32(&w, s->args[4]);
	want_attachment(s, ATTACH_FD, s->args[0]);
	return end_record(ctx, &w);
}

int step_init_module(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct writer w;

	if (!s)
		return 0;
	w = start_writer(s, 0);
	put_u64(&w, s->ret);
	if (s->args[1] > STRING_MAX - 1)
		s->flags |= RECORD_TRUNCATED_ARGS;
	put_user_bytes(&w, s->args[0], s->args[1]);
	put_u64(&w, s->args[1]);
	put_user_string(&w, s->args[2]);
	return end_record(ctx, &w);
}

/* Which of a keyctl operation's arguments 1 to 4 are strings, one bit each. */
static __always_inline u32 keyctl_strings(u32 operation)
{
	if (operation == 1) /* JOIN_SESSION_KEYRING: name */
		return 1;
	if (operation == 10) /* SEARCH: ring, type, description, destination */
		return 2 | 4;
	if (operation == 24 || operation == 25 || operation == 26 || operation == 27 ||
	    operation == 28) /* PKEY_*: information */
		return operation == 24 ? 4 : 2;
	if (operation == 29) /* RESTRICT_KEYRING: ring, type, restriction */
		return 2 | 4;
	return 0;
}

int step_keyctl(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct writer w;
	u32 strings;
	u64 value;
	long len;

	if (!s)
		return 0;
	w = start_writer(s, 0);
	put_u64(&w, s->ret);
	put_u32(&w, s->args[0]);
	strings = keyctl_strings(s->args[0]);
	for (u32 i = 0; i < 4; i++) {
		forget_position(&w);
		value = s->args[(i + 1) & 7];
		if (strings >> i & 1) {
			*tail_of(&w) = DYN_STRING;
			len = read_user_str(tail_of(&w) + 1, STRING_MAX, value);
			close_param(&w, len > 0 ? len + 1 : 1);
		} else {
			*tail_of(&w) = DYN_NUMBER;
			*(u64 *)(tail_of(&w) + 1) = value;
			close_param(&w, 9);
		}
	}
	return end_record(ctx, &w);
}
