/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Why: the only place that every new name of a thread passes, in front of the change. Arguments:
 * task, name. */
int hook_rename(struct bpf_raw_tracepoint_args *ctx)
{
	u64 task = ctx->args[0];
	u32 tid = read_u32(task + OFF_TASK_PID), first = 1;
	u32 *count, *lost;

	/* Kernel threads have no events, so theirs would be kept for ever. */
	if (read_u32(task + OFF_TASK_FLAGS) & PF_KTHREAD ||
	    !in_scope(task, read_u32(task + OFF_TASK_TGID)))
		return 0;
	count = renames_of(tid);
	if (count) {
		*count += 1;
	} else if (map_update(MAP_RENAMED, &tid, &first, 0)) {
		lost = renames_of(RENAMES_LOST);
		if (lost)
			*lost = 1;
	}
	return 0;
}
