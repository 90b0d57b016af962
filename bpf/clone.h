/* SPDX-License-Identifier: Apache-2.0 */
/* clone, clone3, fork and vfork, seen from the caller and from the child. */
#pragma once

#define CSIGNAL 0xff
#define CLONE_NEWTIME 0x80

#define CLONE_VM 0x100
#define CLONE_FS 0x200
#define CLONE_FILES 0x400
#define CLONE_SIGHAND 0x800
#define CLONE_THREAD 0x10000

static __always_inline bool is_thread(u64 task)
{
	return read_u32(task + OFF_TASK_PID) != read_u32(task + OFF_TASK_TGID);
}

/* The flags as far as the child itself shows them. */
static __always_inline u64 flags_of_child(u64 child, u64 parent)
{
	u64 flags = 0;

	if (is_thread(child))
		flags |= CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;
	if (read_u64(child + OFF_TASK_FILES) == read_u64(parent + OFF_TASK_FILES))
		flags |= CLONE_FILES;
	if (read_u64(child + OFF_TASK_FS) == read_u64(parent + OFF_TASK_FS))
		flags |= CLONE_FS;
	return flags;
}

int step_clone(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct writer w;
	u64 flags = 0;

	if (!s)
		return 0;
	if (s->ops & SYSCALL_ONLY_STATE && s->ret) {
		/* The child's own event tells the same, and more. */
		s->busy = 0;
		return 0;
	}
	w = start_writer(s, 0);
	if (s->ops & SYSCALL_CLONE_ARG)
		flags = s->args[0] & ~(u64)CSIGNAL;
	if (s->ops & SYSCALL_CLONE3_ARG) {
		/* A new thread runs beside its maker, who may have reused that memory already. */
		if (!s->ret && is_thread(s->task))
			flags = flags_of_child(s->task, read_u64(s->task + OFF_TASK_LEADER));
		else
			read_user(&flags, sizeof(flags), s->args[0]);
		flags &= ~(u64)(CSIGNAL & ~CLONE_NEWTIME);
	}
	s->aux = flags;
	put_u64(&w, s->ret);
	if (s->ret >= 0) {
		put_exe_and_args(&w);
	} else {
		close_param(&w, 0);
		close_param(&w, 0);
	}
	save_writer(&w);
	s->next = STEP_CLONE_END;
	run_step(ctx, STEP_PROCESS);
	return lost_step(s);
}

/* flags to pidns_init_start_ts: parameters 15 to 20. */
int step_clone_end(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct writer w;
	u64 task, cred, leader_pid, nsproxy, init;
	u32 level, flags, children_level = 0;

	if (!s)
		return 0;
	w = start_writer(s, 15);
	task = s->task;
	cred = read_u64(task + OFF_TASK_CRED);
	level = pidns_level(task);
	flags = s->aux;
	nsproxy = read_u64(task + OFF_TASK_NSPROXY);
	if (nsproxy)
		children_level =
			read_u32(read_u64(nsproxy + OFF_NSPROXY_PID_CHILDREN) + OFF_PIDNS_LEVEL);
	if (level || children_level)
		flags |= CLONE_CHILD_IN_PIDNS;
	put_u32(&w, flags);
	put_u32(&w, read_u32(cred + OFF_CRED_EUID));
	put_u32(&w, read_u32(cred + OFF_CRED_EGID));
	leader_pid = read_u64(read_u64(task + OFF_TASK_LEADER) + OFF_TASK_THREAD_PID);
	put_u64(&w, pid_number(read_u64(task + OFF_TASK_THREAD_PID), level));
	put_u64(&w, pid_number(leader_pid, level));
	init = s->ret ? 0 : read_u64(pidns_of(task) + OFF_PIDNS_REAPER);
	put_u64(&w, init ? read_u64(init + OFF_TASK_START_TIME) : 0);
	if (!s->ret) {
		s->tells_cgroup = !(flags & CLONE_THREAD);
		want_attachment(s, ATTACH_CWD, 0);
	}
	return end_record(ctx, &w);
}
