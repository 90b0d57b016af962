/* SPDX-License-Identifier: Apache-2.0 */
/* execve and execveat: the successful ones from the exec tracepoint, failures from the exit of
 * the system call. */
#pragma once

#define MAX_VECTOR 16
#define EXE_WRITABLE 1
#define EXE_UPPER_LAYER 2
#define EXE_FROM_MEMFD 4
#define EXE_LOWER_LAYER 8
#define SB_RDONLY 1
#define S_IMMUTABLE 8
#define CAP_DAC_OVERRIDE 1
#define CAP_FOWNER 3
#define NSEC_PER_SEC 1000000000ull

/* Copies the strings of an argv- or envp-like vector, at most MAX_VECTOR of them and `room` bytes
 * together; returns the bytes written at the tail. */
static __always_inline u32 append_vector(struct writer *w, u64 vector, u32 first, u32 truncated_flag)
{
	u64 pointer, base = w->off, at, used = 0;
	struct scratch *s = w->s;
	long len;

	for (u32 i = first; i < MAX_VECTOR; i++) {
		pointer = 0;
		if (read_user(&pointer, 8, vector + 8 * (u64)i) || !pointer)
			return used;
		if (used >= PARAM_ROOM - 1)
			break;
		at = base + used;
		BOUND(at, 0x7fff);
		len = read_user_str(s->data + at, PARAM_ROOM, pointer);
		if (len <= 0)
			return used;
		used += len;
		if (used > PARAM_ROOM) {
			used = PARAM_ROOM;
			at = base + PARAM_ROOM - 1;
			BOUND(at, 0x7fff);
			s->data[at] = 0;
			break;
		}
	}
	s->flags |= truncated_flag;
	return used;
}

/* A failed exec leaves nothing of its arguments but the caller's vectors. */
int step_exec_failed(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct writer w;
	u64 argv, pointer = 0;
	long len = 1;

	if (!s)
		return 0;
	w = start_writer(s, 0);
	if (s->ret >= 0) {
		s->busy = 0;
		return 0;
	}
	put_u64(&w, s->ret);
	argv = s->ops & SYSCALL_EXECVEAT ? s->args[2] : s->args[1];
	s->aux = s->ops & SYSCALL_EXECVEAT ? s->args[3] : s->args[2];
	*tail_of(&w) = 0;
	if (argv && !read_user(&pointer, 8, argv) && pointer)
		len = read_user_str(tail_of(&w), PARAM_ROOM, pointer);
	close_param(&w, len > 0 ? len : 0);
	close_param(&w, pointer ? append_vector(&w, argv, 1, RECORD_TRUNCATED_ARGS) : 0);
	s->next = STEP_EXEC_FAILED_ENV;
	save_writer(&w);
	run_step(ctx, STEP_PROCESS);
	return lost_step(s);
}

int step_exec_failed_env(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct writer w;

	if (!s)
		return 0;
	w = start_writer(s, 15);
	/* A search of PATH fails a few times for each program started, and most environments have more
	 * than sixteen variables. The event is defined by the first sixteen, and proc.env is that of
	 * the caller, which was read at its start: nothing is missing. */
	close_param(&w, s->aux ? append_vector(&w, s->aux, 0, 0) : 0);
	save_writer(&w);
	run_step(ctx, STEP_EXEC_FACTS);
	return lost_step(s);
}

/* env of the new image: parameter 15. */
int step_exec_env(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct writer w;
	u64 mm, from, size;

	if (!s)
		return 0;
	w = start_writer(s, 15);
	mm = read_u64(s->task + OFF_TASK_MM);
	s->env_at = w.off;
	from = read_u64(mm + OFF_MM_ENV_START);
	size = read_u64(mm + OFF_MM_ENV_END) - from;
	if (size > PARAM_ROOM - 1) {
		size = PARAM_ROOM - 1;
		s->flags |= RECORD_TRUNCATED_ENV;
	}
	BOUND(size, 0xfff);
	if (!size) {
		close_param(&w, 0);
	} else if (read_user(tail_of(&w), size, from)) {
		s->flags |= RECORD_TRUNCATED_ENV;
		close_param(&w, 0);
	} else {
		terminate(&w, size);
		close_param(&w, size);
	}
	save_writer(&w);
	run_step(ctx, STEP_EXEC_FACTS);
	return lost_step(s);
}

/* Whether the id is mapped into a user namespace (the initial one maps all). */
static __always_inline bool is_mapped(u64 map, u32 id)
{
#if defined(OFF_UID_MAP_EXTENT) && defined(OFF_UID_MAP_N)
	u32 count = read_u32(map + OFF_UID_MAP_N);

	if (count > 5)
		return true; /* kept in a sorted table elsewhere: give the benefit of the doubt */
	for (u64 i = 0; i < 5; i++) {
		u64 extent = map + OFF_UID_MAP_EXTENT + 12 * i;
		u32 lower = read_u32(extent + 4);

		if (i < count && id >= lower && id - lower < read_u32(extent + 8))
			return true;
	}
	return false;
#else
	return true;
#endif
}

static __always_inline bool in_groups(u64 cred, u32 gid)
{
	u64 groups = read_u64(cred + OFF_CRED_GROUP_INFO);
	u32 count = read_u32(groups + OFF_GROUP_INFO_N);

	if (read_u32(cred + OFF_CRED_FSGID) == gid)
		return true;
	for (u32 i = 0; i < 32; i++) {
		COUNT_UP(i);
		if (i >= count)
			return false;
		if (read_u32(groups + OFF_GROUP_INFO_GID + 4 * (u64)i) == gid)
			return true;
	}
	return false;
}

/* Whether the task may write to its own executable. */
static __always_inline bool exe_is_writable(u64 cred, u64 inode)
{
	u64 user_ns = read_u64(cred + OFF_CRED_USER_NS);
	u64 caps = read_u64(cred + OFF_CRED_CAP_EFFECTIVE);
	u32 uid = read_u32(inode + OFF_INODE_UID), gid = read_u32(inode + OFF_INODE_GID);
	u16 mode = read_u16(inode + OFF_INODE_MODE);
	bool uid_mapped = true, gid_mapped = true;

	if (read_u64(read_u64(inode + OFF_INODE_SB) + OFF_SB_FLAGS) & SB_RDONLY ||
	    read_u32(inode + OFF_INODE_FLAGS) & S_IMMUTABLE || uid == 0xffffffff)
		return false;
	if (read_u32(cred + OFF_CRED_FSUID) == uid)
		return true;
	if (mode & 2 || (mode & 020 && in_groups(cred, gid)))
		return true;
#if defined(OFF_USER_NS_UID_MAP) && defined(OFF_USER_NS_GID_MAP)
	if (read_u32(user_ns + OFF_USER_NS_LEVEL)) {
		uid_mapped = is_mapped(user_ns + OFF_USER_NS_UID_MAP, uid);
		gid_mapped = is_mapped(user_ns + OFF_USER_NS_GID_MAP, gid);
	}
#endif
	if (caps >> CAP_DAC_OVERRIDE & 1 && uid_mapped && gid_mapped)
		return true;
	return caps >> CAP_FOWNER & 1 && uid_mapped;
}

static __always_inline bool is_memfd(u64 dentry)
{
	struct dentry_head head;
	char name[6] = {};

	read_dentry(&head, dentry);
	if (head.parent != dentry)
		return false;
	read_kernel(name, sizeof(name), head.name);
	return name[0] == 'm' && name[1] == 'e' && name[2] == 'm' && name[3] == 'f' &&
	       name[4] == 'd' && name[5] == ':';
}

static __always_inline u64 inode_time_ns(u64 seconds_at, u64 nanoseconds_at)
{
	/* Since 6.13 the top bit of the nanoseconds says that somebody has asked for the time. */
	return read_u64(seconds_at) * NSEC_PER_SEC + (read_u32(nanoseconds_at) & 0x3fffffff);
}

/* tty to uid: parameters 16 to 26. */
int step_exec_facts(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct writer w;
	u64 task, cred, signal, file, inode = 0;
	u32 flags = 0, layer;

	if (!s)
		return 0;
	w = start_writer(s, 16);
	task = s->task;
	cred = read_u64(task + OFF_TASK_CRED);
	signal = read_u64(task + OFF_TASK_SIGNAL);
	file = read_u64(read_u64(task + OFF_TASK_MM) + OFF_MM_EXE_FILE);
	put_u32(&w, tty_of(signal));
	put_u64(&w, pid_number(read_u64(signal + OFF_SIGNAL_PIDS + 8 * PIDTYPE_PGID),
			      pidns_level(task)));
	put_u32(&w, loginuid_of(task));
	if (file) {
		inode = read_u64(file + OFF_FILE_INODE);
		if (exe_is_writable(cred, inode))
			flags |= EXE_WRITABLE;
		layer = overlay_layer(inode);
		if (layer & OPEN_UPPER_LAYER)
			flags |= EXE_UPPER_LAYER;
		if (layer & OPEN_LOWER_LAYER)
			flags |= EXE_LOWER_LAYER;
		if (is_memfd(read_u64(file + OFF_FILE_PATH + OFF_PATH_DENTRY)))
			flags |= EXE_FROM_MEMFD;
	}
	s->exe_flags = flags;
	put_u32(&w, flags);
	put_u64(&w, read_u64(cred + OFF_CRED_CAP_INHERITABLE));
	put_u64(&w, read_u64(cred + OFF_CRED_CAP_PERMITTED));
	put_u64(&w, read_u64(cred + OFF_CRED_CAP_EFFECTIVE));
	put_u64(&w, inode ? read_u64(inode + OFF_INODE_INO) : 0);
	put_u64(&w, inode ? inode_time_ns(inode + OFF_INODE_CTIME, inode + OFF_INODE_CTIME_NSEC)
			 : 0);
	put_u64(&w, inode ? inode_time_ns(inode + OFF_INODE_MTIME, inode + OFF_INODE_MTIME_NSEC)
			 : 0);
	put_u32(&w, read_u32(cred + OFF_CRED_EUID));
	save_writer(&w);
	s->path_len = 0;
	s->att_file = file;
	if (file)
		return walk_path(ctx, s, file + OFF_FILE_PATH, STEP_EXEC_END);
	run_step(ctx, STEP_EXEC_END);
	return lost_step(s);
}

/* trusted_exepath to filename: parameters 27 to 30 (execveat failures have no filename). */
int step_exec_end(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct writer w;
	u64 task;
	long copied;

	if (!s)
		return 0;
	w = start_writer(s, 27);
	task = s->task;
	s->exepath_at = w.off;
	if (s->att_file)
		close_path_param(&w);
	else
		close_param(&w, 0);
	put_u64(&w, pid_number(read_u64(read_u64(task + OFF_TASK_SIGNAL) + OFF_SIGNAL_PIDS +
				       8 * PIDTYPE_PGID), 0));
	put_u32(&w, read_u32(read_u64(task + OFF_TASK_CRED) + OFF_CRED_EGID));
	if (!s->ret) {
		copied = read_kernel_str(tail_of(&w), STRING_MAX,
					 read_u64(s->aux + OFF_BPRM_FILENAME));
		close_param(&w, copied > 0 ? copied : 0);
	} else if (!(s->ops & SYSCALL_EXECVEAT)) {
		put_user_string(&w, s->args[0]);
	}
	want_attachment(s, ATTACH_CWD, 0);
	if (s->ret && s->ops & SYSCALL_EXECVEAT)
		want_attachment(s, ATTACH_DIRFD, s->args[0]);
	return end_record(ctx, &w);
}
