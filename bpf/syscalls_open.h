/* SPDX-License-Identifier: Apache-2.0 */
/* The open family: the arguments, and device and inode of the file that was opened. */
#pragma once

#define O_CREAT 0100
#if defined(__aarch64__)
#define O_DIRECTORY 040000
#else
#define O_DIRECTORY 0200000
#endif
#define O_TMPFILE (020000000 | O_DIRECTORY)

/* What the kernel knows of the file behind a result: bits for the flags word, device, inode.
 * Results of 0 count as unknown, as users of these fields expect. */
struct opened {
	u32 bits;
	u32 dev;
	u64 ino;
	u64 file;
};

static inline void read_opened(struct scratch *s, struct opened *o)
{
	u64 inode;

	o->bits = 0;
	o->dev = 0;
	o->ino = 0;
	o->file = 0;
	if (s->ret < 0)
		return;
	o->file = file_of(s->task, s->ret);
	if (!o->file)
		return;
	if (read_u32(o->file + OFF_FILE_MODE) & FMODE_CREATED)
		o->bits |= OPEN_CREATED;
	if (!s->ret)
		return;
	inode = read_u64(o->file + OFF_FILE_INODE);
	o->bits |= overlay_layer(inode);
	o->dev = device_of(inode);
	o->ino = read_u64(inode + OFF_INODE_INO);
}

static inline u32 open_mode(u32 flags, u32 mode)
{
	return flags & (O_CREAT | O_TMPFILE) ? mode & 07777 : 0;
}

/* open, openat and openat2. */
int step_open(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	u64 how[3] = {}; /* flags, mode, resolve */
	u64 start, base = 0;
	s32 dirfd = AT_FDCWD;
	struct opened o;
	u32 len;

	if (!s)
		return 0;
	read_opened(s, &o);
	put_u64(s, s->ret);
	if (s->ops & SYSCALL_HAS_DIRFD) {
		dirfd = s->args[0];
		put_u64(s, (s64)dirfd);
		base = 1;
	}
	start = s->off;
	len = put_user_string(s, s->args[base]);
	if (s->ops & SYSCALL_OPEN_HOW) {
		read_user(how, sizeof(how), s->args[2]);
	} else {
		how[0] = s->args[base + 1];
		how[1] = s->args[base + 2];
	}
	put_u32(s, (how[0] & OPEN_NATIVE_MASK) | o.bits);
	put_u32(s, open_mode(how[0], how[1]));
	if (s->ops & SYSCALL_OPEN_HOW)
		put_u32(s, how[2]);
	put_u32(s, o.dev);
	put_u64(s, o.ino);
	want_directory(s, len, start, dirfd, ATTACH_DIRFD);
	end_record(ctx, s);
	return 0;
}

int step_creat(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct opened o;
	u64 start;
	u32 len;

	if (!s)
		return 0;
	read_opened(s, &o);
	put_u64(s, s->ret);
	start = s->off;
	len = put_user_string(s, s->args[0]);
	put_u32(s, s->args[1] & 07777);
	put_u32(s, o.dev);
	put_u64(s, o.ino);
	put_u16(s, (o.bits & OPEN_UPPER_LAYER ? 1 : 0) | (o.bits & OPEN_LOWER_LAYER ? 2 : 0));
	want_directory(s, len, start, AT_FDCWD, ATTACH_DIRFD);
	end_record(ctx, s);
	return 0;
}

/* The handle says nothing to a person, so the path is that of the file that came out of it. */
int step_open_by_handle(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct opened o;
	u64 path;
	u32 len;

	if (!s)
		return 0;
	read_opened(s, &o);
	put_u64(s, s->ret);
	put_u64(s, (s64)(s32)s->args[0]);
	put_u32(s, (s->args[2] & OPEN_NATIVE_MASK) | o.bits);
	len = 0;
	if (o.file) {
		path = o.file + OFF_FILE_PATH;
		len = append_path(s, read_u64(path + OFF_PATH_DENTRY),
				  read_u64(path + OFF_PATH_MNT));
		*(u8 *)(tail_of(s) + len) = 0;
		len += 1;
	}
	close_param(s, len);
	put_u32(s, o.dev);
	put_u64(s, o.ino);
	end_record(ctx, s);
	return 0;
}
