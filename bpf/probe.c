/* SPDX-License-Identifier: Apache-2.0 */
/* The probe: four raw tracepoints. Each decides as early as it can whether the event is wanted,
 * then jumps into the steps that write its record.
 *
 * In front of this file come the constants made for the running kernel (offsets.py) and for this
 * start (source_text.py): OFF_*, SELF_TGID, SCOPE_*, CPUS, RING_PAGES, EVENT_CODES.
 */
#include <linux/types.h>
#include <uapi/linux/ptrace.h>

#ifndef offsetof
#define offsetof(type, member) __builtin_offsetof(type, member)
#endif

#include "layout.h"
#include "kernel_read.h"
#include "maps.h"
#include "record.h"
#include "scope.h"
#include "task.h"
#include "path.h"
#include "file.h"
#include "socket.h"
#include "syscall.h"
#include "syscalls_generic.h"
#include "syscalls_open.h"
#include "syscalls_socket.h"
#include "syscalls_ptrace.h"
#include "process.h"
#include "clone.h"
#include "exec.h"
#include "finish.h"
#include "exit.h"

/* Why the exit and not the entry: the result is known, and the kernel has just read the strings
 * that we want to read, so their pages are present. One tracepoint costs less than two. The raw
 * form gives registers and result without copying. Called with preemption off. */
int hook_sys_exit(struct bpf_raw_tracepoint_args *ctx)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct syscall_info *info;
	struct scratch *s;
	u64 regs = ctx->args[0], task;
	s64 number;
	u32 key;

	if (tgid == SELF_TGID)
		return 0;
	number = syscall_number(regs);
	key = number;
	if (number < 0 || number >= 512)
		return 0;
	info = syscalls.lookup(&key);
	if (!info || !info->code)
		return 0;
	task = bpf_get_current_task();
	if (!in_scope(task, tgid))
		return 0;
	if (is_32bit_call(task)) {
		count_reason(REASON_IA32);
		return 0;
	}
#if defined(__aarch64__)
	/* There the child never passes the exit of clone; task_fork reports it. */
	if (info->step == STEP_CLONE && !ctx->args[1])
		return 0;
#endif
	s = begin_record(info->code, info->nparams);
	if (!s)
		return 0;
	s->ret = ctx->args[1];
	s->ops = info->step == STEP_GENERIC ? info->ops : info->flags;
	save_args(s, regs);
	steps.call(ctx, info->step);
	return lost_step(s);
}

/* Why: a successful exec. At this point credentials, memory and name are those of the new image,
 * and its argument pages were written a moment ago. Arguments: task, old tid, linux_binprm. */
int hook_exec(struct bpf_raw_tracepoint_args *ctx)
{
	u64 task = ctx->args[0];
	struct scratch *s;
	struct writer w;

	if (!in_scope(task, bpf_get_current_pid_tgid() >> 32))
		return 0;
	if (read_u32(task + OFF_TASK_FLAGS) & PF_KTHREAD)
		return 0;
	s = begin_record(CODE_EXECVE, NPARAMS_EXECVE);
	if (!s)
		return 0;
	s->ret = 0;
	s->ops = 0;
	s->aux = ctx->args[2];
	w = start_writer(s, 0);
	put_u64(&w, 0);
	put_exe_and_args(&w);
	save_writer(&w);
	s->next = STEP_EXEC_ENV;
	steps.call(ctx, STEP_PROCESS);
	return lost_step(s);
}

/* Why: keeps the set of processes in scope complete before a child runs its first instruction,
 * and stands for the child's side of clone where the child passes no system call exit (aarch64).
 * Arguments: parent, child. */
int hook_fork(struct bpf_raw_tracepoint_args *ctx)
{
	u64 parent = ctx->args[0], child = ctx->args[1];
	u32 parent_tgid = read_u32(parent + OFF_TASK_TGID);

#ifdef SCOPE_PID
	u32 child_tgid = read_u32(child + OFF_TASK_TGID);
	u8 one = 1;

	if (!scope_pids.lookup(&parent_tgid))
		return 0;
	if (child_tgid != parent_tgid && scope_pids.update(&child_tgid, &one))
		count_reason(REASON_SCOPE_FULL);
#endif
#if defined(__aarch64__) && defined(CODE_CLONE)
	struct scratch *s;
	struct writer w;

	if (!in_scope(parent, parent_tgid))
		return 0;
	s = begin_record(CODE_CLONE, NPARAMS_CLONE);
	if (!s)
		return 0;
	s->task = child;
	s->ret = 0;
	s->aux = 0;
	if (read_u32(child + OFF_TASK_PID) != read_u32(child + OFF_TASK_TGID))
		s->aux |= CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;
	if (read_u64(child + OFF_TASK_FILES) == read_u64(parent + OFF_TASK_FILES))
		s->aux |= CLONE_FILES;
	w = start_writer(s, 0);
	put_u64(&w, 0);
	put_exe_and_args(&w);
	save_writer(&w);
	s->next = STEP_CLONE_END;
	steps.call(ctx, STEP_PROCESS);
	return lost_step(s);
#endif
	return 0;
}
