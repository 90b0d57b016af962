/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

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
	info = map_lookup(MAP_SYSCALLS, &key);
	if (!info || !info->code)
		return 0;
	/* What failed changed nothing. */
	if (info->flags & SYSCALL_ONLY_STATE && (s64)ctx->args[1] < 0)
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
	s = begin_record(info->code, info->nparams, info->flags & SYSCALL_STATE);
	if (!s)
		return 0;
	s->ret = ctx->args[1];
	s->ops = info->step == STEP_GENERIC ? info->ops : info->flags;
	save_args(s, regs);
	run_step(ctx, info->step);
	return lost_step(s);
}
