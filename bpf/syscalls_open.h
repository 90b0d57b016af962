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

static __always_inline void read_opened(struct scratch *s, struct opened *o)
{
	u64 inode, super_block;

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
	super_block = read_u64(inode + OFF_INODE_SB);
	o->bits |= overlay_layer_on(inode, super_block);
	o->dev = device_number(read_u32(super_block + OFF_SB_DEV));
	o->ino = read_u64(inode + OFF_INODE_INO);
}

static __always_inline u32 open_mode(u32 flags, u32 mode)
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
	struct writer w;
	u32 len;

	if (!s)
		return 0;
	read_opened(s, &o);
	w = start_writer(s, 0);
	put_u64(&w, s->ret);
	if (s->ops & SYSCALL_HAS_DIRFD) {
		dirfd = s->args[0];
		put_u64(&w, (s64)dirfd);
		base = 1;
	}
	start = w.off;
	len = put_user_string(&w, s->args[base]);
	if (s->ops & SYSCALL_OPEN_HOW) {
		read_user(how, sizeof(how), s->args[2]);
	} else {
		how[0] = s->args[base + 1];
		how[1] = s->args[base + 2];
	}
	put_u32(&w, (how[0] & OPEN_NATIVE_MASK) | o.bits);
	put_u32(&w, open_mode(how[0], how[1]));
	if (s->ops & SYSCALL_OPEN_HOW)
		put_u32(&w, how[2]);
	put_u32(&w, o.dev);
	put_u64(&w, o.ino);
	want_directory(s, len, start, dirfd, ATTACH_DIRFD);
	return end_record(ctx, &w);
}

int step_creat(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct opened o;
	struct writer w;
	u64 start;
	u32 len;

	if (!s)
		return 0;
	read_opened(s, &o);
	w = start_writer(s, 0);
	put_u64(&w, s->ret);
	start = w.off;
	len = put_user_string(&w, s->args[0]);
	put_u32(&w, s->args[1] & 07777);
	put_u32(&w, o.dev);
	put_u64(&w, o.ino);
	put_u16(&w, (o.bits & OPEN_UPPER_LAYER ? 1 : 0) | (o.bits & OPEN_LOWER_LAYER ? 2 : 0));
	want_directory(s, len, start, AT_FDCWD, ATTACH_DIRFD);
	return end_record(ctx, &w);
}

/* The handle says nothing to a person, so the path is that of the file that came out of it. */
int step_open_by_handle(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct opened o;
	struct writer w;

	if (!s)
		return 0;
	read_opened(s, &o);
	w = start_writer(s, 0);
	put_u64(&w, s->ret);
	put_u64(&w, (s64)(s32)s->args[0]);
	put_u32(&w, (s->args[2] & OPEN_NATIVE_MASK) | o.bits);
	save_writer(&w);
	s->aux = o.file;
	if (o.file)
		return walk_path(ctx, s, o.file + OFF_FILE_PATH, STEP_OPEN_BY_HANDLE_END);
	run_step(ctx, STEP_OPEN_BY_HANDLE_END);
	return lost_step(s);
}

/* path to ino: parameters 3 to 5. */
int step_open_by_handle_end(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct opened o;
	struct writer w;

	if (!s)
		return 0;
	w = start_writer(s, 3);
	if (s->aux)
		close_path_param(&w);
	else
		close_param(&w, 0);
	read_opened(s, &o);
	put_u32(&w, o.dev);
	put_u64(&w, o.ino);
	return end_record(ctx, &w);
}
