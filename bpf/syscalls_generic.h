/* SPDX-License-Identifier: Apache-2.0 */
/* System calls whose event is the result followed by the arguments in order. Which kind each
 * argument is comes from user space as `ops`, one nibble an argument, so that one program serves
 * all of them. */
#pragma once

#define OP_END 0
#define OP_FD 1 /* descriptor; its facts are attached */
#define OP_DIRFD 2 /* directory that the next path is relative to */
#define OP_PATH 3
#define OP_STRING 4
#define OP_U32 5
#define OP_MODE 6 /* permission and special bits */
#define OP_RESULT_FD 7 /* no argument: attach the facts of the descriptor returned */
#define OP_SKIP 8 /* argument that is not shown */
#define OP_CWD 9 /* no argument: attach the working directory, as it is after the call */
#define OP_COUNT 6
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

int step_generic(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	s32 dirfd = AT_FDCWD;
	u32 kind = ATTACH_DIRFD, arg = 0, len;
	u64 ops, start, value;
	struct writer w;

	if (!s)
		return 0;
	w = start_writer(s, 0);
	put_u64(&w, s->ret);
	ops = s->ops;
	for (int i = 0; i < OP_COUNT; i++) {
		u32 op = ops & 15;

		ops >>= 4;
		value = s->args[arg & 7];
		arg++;
		forget_position(&w);
		if (op == OP_END)
			break;
		if (op == OP_FD || op == OP_DIRFD) {
			put_u64(&w, (s64)(s32)value);
			if (op == OP_DIRFD)
				dirfd = value;
			else
				want_attachment(s, ATTACH_FD, value);
		} else if (op == OP_PATH) {
			start = w.off;
			len = put_user_string(&w, value);
			want_directory(s, len, start, dirfd, kind);
			kind = ATTACH_DIRFD2;
		} else if (op == OP_STRING) {
			put_user_string(&w, value);
		} else if (op == OP_U32) {
			put_u32(&w, value);
		} else if (op == OP_MODE) {
			put_u32(&w, value & 07777);
		} else if (op == OP_RESULT_FD) {
			if (s->ret >= 0)
				want_attachment(s, ATTACH_FD, s->ret);
		} else if (op == OP_CWD) {
			want_attachment(s, ATTACH_CWD, 0);
		}
	}
	return end_record(ctx, &w);
}
