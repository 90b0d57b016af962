/* SPDX-License-Identifier: Apache-2.0 */
/* getsockopt and setsockopt: the value is shown by what the option is. */
#pragma once

#define SOL_SOCKET 1
#define SO_ERROR 4
#define SO_RCVTIMEO 20
#define SO_SNDTIMEO 21
#define SO_COOKIE 57
#define SO_RCVTIMEO_NEW 66
#define SO_SNDTIMEO_NEW 67
#define OPTION_BYTES_MAX 255

/* Options of SOL_SOCKET that are an int, one bit each. */
#define SO_INTEGERS 0x3ffff600ddfeeull

#define OPTION_BYTES 0
#define OPTION_ERRNO 1
#define OPTION_U32 2
#define OPTION_U64 3
#define OPTION_NS 4

static __always_inline void put_option(struct writer *w, u32 level, u32 name, u64 from, u64 len)
{
	u64 value[2] = {};
	u8 *out = tail_of(w);
	bool is_socket = level == SOL_SOCKET;

	if (is_socket && name == SO_ERROR) {
		read_user(value, 4, from);
		out[0] = OPTION_ERRNO;
		*(u64 *)(out + 1) = -(s64)(s32)value[0];
		close_param(w, 9);
	} else if (is_socket && (name == SO_RCVTIMEO || name == SO_SNDTIMEO ||
				 name == SO_RCVTIMEO_NEW || name == SO_SNDTIMEO_NEW)) {
		read_user(value, 16, from);
		out[0] = OPTION_NS;
		*(u64 *)(out + 1) = value[0] * 1000000000ull + value[1] * 1000;
		close_param(w, 9);
	} else if (is_socket && name == SO_COOKIE) {
		read_user(value, 8, from);
		out[0] = OPTION_U64;
		*(u64 *)(out + 1) = value[0];
		close_param(w, 9);
	} else if (is_socket && name < 64 && SO_INTEGERS >> name & 1) {
		read_user(value, 4, from);
		out[0] = OPTION_U32;
		*(u32 *)(out + 1) = value[0];
		close_param(w, 5);
	} else {
		if (len > OPTION_BYTES_MAX)
			len = OPTION_BYTES_MAX;
		BOUND(len, 0xff);
		out[0] = OPTION_BYTES;
		if (len && read_user(out + 1, len, from))
			len = 0;
		close_param(w, len + 1);
	}
}

int step_sockopt(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	u32 level, name, len = 0;
	struct writer w;

	if (!s)
		return 0;
	w = start_writer(s, 0);
	level = s->args[1];
	name = s->args[2];
	if (s->ops & SYSCALL_SET_OPTION)
		len = s->args[4];
	else
		read_user(&len, sizeof(len), s->args[4]);
	put_u64(&w, s->ret);
	put_u64(&w, (s64)(s32)s->args[0]);
	put_u32(&w, level);
	put_u32(&w, level == SOL_SOCKET ? name : 0);
	put_option(&w, level, name, s->args[3], len);
	put_u32(&w, len);
	want_attachment(s, ATTACH_FD, s->args[0]);
	return end_record(ctx, &w);
}
