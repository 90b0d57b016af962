/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a task, and who inherits its children. */
#pragma once

#define REAPER_UNKNOWN (-1)
#define MAX_THREADS 30
#define MAX_ANCESTORS 60

/* First thread of the group that is not on its way out; 0 for none, REAPER_UNKNOWN after
 * MAX_THREADS. */
static __always_inline s64 living_thread(u64 signal)
{
	u64 head = signal + OFF_SIGNAL_THREAD_HEAD;
	u64 node = read_u64(head);

	for (int i = 0; i < MAX_THREADS; i++) {
		u64 task = node - OFF_TASK_THREAD_NODE;

		if (!node || node == head)
			return 0;
		if (!(read_u32(task + OFF_TASK_FLAGS) & PF_EXITING))
			return read_u32(task + OFF_TASK_PID);
		node = read_u64(node);
	}
	return REAPER_UNKNOWN;
}

/* Thread that becomes parent of the task's children: another thread of the group, else the
 * nearest child subreaper with a living thread, else init of the pid namespace. 0 when there are
 * no children or init itself ends. */
static __always_inline s64 reaper_of(u64 task)
{
	u64 children = task + OFF_TASK_CHILDREN;
	u64 signal = read_u64(task + OFF_TASK_SIGNAL);
	u64 reaper, ancestor;
	u32 level;
	s64 found;

	if (read_u64(children) == children)
		return 0;
	found = living_thread(signal);
	if (found)
		return found;
	reaper = read_u64(pidns_of(task) + OFF_PIDNS_REAPER);
#ifdef OFF_SIGNAL_IS_SUBREAPER
	if (read_u8(signal + OFF_SIGNAL_HAS_SUBREAPER) & BIT_SIGNAL_HAS_SUBREAPER) {
		level = pidns_level(task);
		ancestor = read_u64(task + OFF_TASK_REAL_PARENT);
		for (int i = 0; i < MAX_ANCESTORS; i++) {
			u64 its = read_u64(ancestor + OFF_TASK_SIGNAL);

			if (!ancestor || ancestor == reaper || pidns_level(ancestor) != level)
				goto init;
			if (read_u8(its + OFF_SIGNAL_IS_SUBREAPER) & BIT_SIGNAL_IS_SUBREAPER) {
				found = read_u32(ancestor + OFF_TASK_FLAGS) & PF_EXITING
						? 0
						: read_u32(ancestor + OFF_TASK_PID);
				if (found)
					return found;
			}
			ancestor = read_u64(ancestor + OFF_TASK_REAL_PARENT);
		}
		return REAPER_UNKNOWN;
	}
init:
#endif
	if (read_u64(reaper + OFF_TASK_SIGNAL) == signal)
		return 0;
	return read_u32(reaper + OFF_TASK_PID);
}

/* Why: every thread passes here once, however it ends, while its ids, credentials and namespaces
 * are still in place. Argument: task. */
int hook_exit(struct bpf_raw_tracepoint_args *ctx)
{
	u64 task = ctx->args[0];
	u64 signal = read_u64(task + OFF_TASK_SIGNAL);
	u32 tgid = read_u32(task + OFF_TASK_TGID), status;
	struct scratch *s;
	struct writer w;

	if (tgid == SELF_TGID)
		return answer_beat(BEAT_EXIT);
	if (!in_scope(task, tgid))
		return 0;
	if (SCOPE_PID && !read_u32(signal + OFF_SIGNAL_LIVE))
		map_delete(MAP_SCOPE_PIDS, &tgid);
	if (!WANT_PROCEXIT || read_u32(task + OFF_TASK_FLAGS) & PF_KTHREAD)
		return 0;
	s = begin_record(CODE_PROCEXIT, NPARAMS_PROCEXIT, true);
	if (!s)
		return 0;
	s->task = task;
	s->judge = FILTER_EXIT;
	status = read_u32(task + OFF_TASK_EXIT_CODE);
	w = start_writer(s, 0);
	put_u64(&w, (s64)(s32)status);
	put_u64(&w, status >> 8 & 0xff);
	put_u8(&w, status & 0x7f);
	put_u8(&w, status >> 7 & 1);
	put_u64(&w, reaper_of(task));
	return end_record(ctx, &w);
}
