/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

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
	s = begin_record(CODE_EXECVE, NPARAMS_EXECVE, true);
	if (!s)
		return 0;
	s->ret = 0;
	s->ops = 0;
	s->judge = FILTER_EXEC;
	s->tells_cgroup = 1;
	s->aux = ctx->args[2];
	w = start_writer(s, 0);
	put_u64(&w, 0);
	put_exe_and_args(&w);
	save_writer(&w);
	s->next = STEP_EXEC_ENV;
	run_step(ctx, STEP_PROCESS);
	return lost_step(s);
}
