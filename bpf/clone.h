/* SPDX-License-Identifier: Apache-2.0 */
/* clone, clone3, fork and vfork, seen from the caller and from the child. */
#pragma once

#define CSIGNAL 0xff
#define CLONE_NEWTIME 0x80

int step_clone(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct writer w;
	u64 flags = 0;

	if (!s)
		return 0;
	w = start_writer(s, 0);
	if (s->ops & SYSCALL_CLONE_ARG)
		flags = s->args[0] & ~(u64)CSIGNAL;
	if (s->ops & SYSCALL_CLONE3_ARG) {
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
	if (!s->ret)
		want_attachment(s, ATTACH_CWD, 0);
	return end_record(ctx, &w);
}
