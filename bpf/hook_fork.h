/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#define __NR_clone 220 /* aarch64 */

/* Why: keeps the set of processes in scope complete before a child runs its first instruction,
 * and stands for the child's side of clone where the child passes no system call exit (aarch64).
 * Arguments: parent, child. */
int hook_fork(struct bpf_raw_tracepoint_args *ctx)
{
	u64 parent = ctx->args[0], child = ctx->args[1];
	u32 parent_tgid = read_u32(parent + OFF_TASK_TGID);
	u32 child_tgid = read_u32(child + OFF_TASK_TGID);
	u8 one = 1;

	if (SCOPE_PID) {
		if (!map_lookup(MAP_SCOPE_PIDS, &parent_tgid))
			return 0;
		if (child_tgid != parent_tgid &&
		    map_update(MAP_SCOPE_PIDS, &child_tgid, &one, 0))
			count_reason(REASON_SCOPE_FULL);
	}
#if defined(__aarch64__)
	struct scratch *s;
	struct writer w;

	u32 clone_number = __NR_clone;
	struct syscall_info *info = map_lookup(MAP_SYSCALLS, &clone_number);

	if (!info || !info->code || !in_scope(parent, parent_tgid))
		return 0;
	s = begin_record(CODE_CLONE, NPARAMS_CLONE, true);
	if (!s)
		return 0;
	s->task = child;
	s->ret = 0;
	s->aux = flags_of_child(child, parent);
	w = start_writer(s, 0);
	put_u64(&w, 0);
	put_exe_and_args(&w);
	save_writer(&w);
	s->next = STEP_CLONE_END;
	run_step(ctx, STEP_PROCESS);
	return lost_step(s);
#endif
	return 0;
}
