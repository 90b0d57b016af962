/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters that process events share: clone family and exec. All values are those of the task
 * that the event belongs to. */
#pragma once

#define PARAM_ROOM 4096

/* exe (first string) and args (the others) from the task's argument memory; together at most
 * PARAM_ROOM bytes, the last one forced to NUL. */
static inline void put_exe_and_args(struct scratch *s)
{
	u64 mm = read_u64(s->task + OFF_TASK_MM);
	u64 from = read_u64(mm + OFF_MM_ARG_START);
	u64 end = read_u64(mm + OFF_MM_ARG_END);
	u64 rest;
	long len = -1;

	if (mm && end > from)
		len = read_user_str(tail_of(s), PARAM_ROOM, from);
	if (len <= 0) {
		close_param(s, 0);
		close_param(s, 0);
		return;
	}
	close_param(s, len);
	rest = end - from - len;
	if (end - from <= (u64)len) {
		close_param(s, 0);
		return;
	}
	if (rest > PARAM_ROOM - (u64)len) {
		rest = PARAM_ROOM - (u64)len;
		s->flags |= RECORD_TRUNCATED_ARGS;
	}
	BOUND(rest, 0xfff);
	if (!rest || read_user(tail_of(s), rest, from + len)) {
		close_param(s, 0);
		return;
	}
	*(tail_of(s) + rest - 1) = 0;
	close_param(s, rest);
}

/* tid to comm: parameters 3 to 13 of exec and clone events. */
int step_process(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	u64 task, mm, vm = 0, rss = 0, swap = 0;
	long len;

	if (!s)
		return 0;
	task = s->task;
	put_u64(s, read_u32(task + OFF_TASK_PID));
	put_u64(s, read_u32(task + OFF_TASK_TGID));
	put_u64(s, read_u32(read_u64(task + OFF_TASK_REAL_PARENT) + OFF_TASK_PID));
	*tail_of(s) = 0;
	close_param(s, 1); /* cwd: known to the attachment and to the thread's state */
	put_u64(s, read_u64(read_u64(task + OFF_TASK_SIGNAL) + OFF_SIGNAL_RLIM +
			    RLIMIT_NOFILE * 16));
	put_u64(s, read_u64(task + OFF_TASK_MAJ_FLT));
	put_u64(s, read_u64(task + OFF_TASK_MIN_FLT));
	mm = read_u64(task + OFF_TASK_MM);
	if (mm) {
		vm = read_u64(mm + OFF_MM_TOTAL_VM);
		rss = mm_pages(mm, MM_FILEPAGES) + mm_pages(mm, MM_ANONPAGES) +
		      mm_pages(mm, MM_SHMEMPAGES);
		swap = mm_pages(mm, MM_SWAPENTS);
	}
	put_u32(s, vm * (PAGE_SIZE / 1024));
	put_u32(s, rss * (PAGE_SIZE / 1024));
	put_u32(s, swap * (PAGE_SIZE / 1024));
	len = read_kernel_str(tail_of(s), 16, task + OFF_TASK_COMM);
	close_param(s, len > 0 ? len : 0);
	steps.call(ctx, STEP_CGROUPS);
	s->busy = 0;
	count_reason(REASON_NO_STEP);
	return 0;
}

#define CGROUP_COMPONENTS 6

/* "name=/path" and a NUL for one controller; the innermost components of the path. */
static inline void append_cgroup(struct scratch *s, u64 css_set, u32 subsys, const char *prefix,
				 u32 prefix_len)
{
	u64 css = read_u64(css_set + OFF_CSS_SET_SUBSYS + 8 * (u64)subsys);
	u64 kn = read_u64(read_u64(css + OFF_CSS_CGROUP) + OFF_CGROUP_KN);
	u64 parts[CGROUP_COMPONENTS] = {};
	u64 parent;
	long len;
	int i;

	read_kernel(tail_of(s), prefix_len, (u64)prefix);
	s->off += prefix_len;
#pragma unroll
	for (i = 0; i < CGROUP_COMPONENTS; i++) {
		if (!kn)
			break;
		parent = read_u64(kn + OFF_KN_PARENT);
		if (!parent)
			break;
		parts[i] = kn;
		kn = parent;
	}
	if (kn && read_u64(kn + OFF_KN_PARENT))
		s->flags |= RECORD_TRUNCATED_CGROUPS;
	if (!parts[0]) {
		*tail_of(s) = '/';
		s->off += 1;
	}
#pragma unroll
	for (i = CGROUP_COMPONENTS - 1; i >= 0; i--) {
		if (!parts[i])
			continue;
		*tail_of(s) = '/';
		len = read_kernel_str(tail_of(s) + 1, 256, read_u64(parts[i] + OFF_KN_NAME));
		s->off += len > 0 ? len : 1;
	}
	*tail_of(s) = 0;
	s->off += 1;
}

#define APPEND_CGROUP(s, css_set, subsys, text)                                                   \
	do {                                                                                       \
		const char prefix[] = text;                                                        \
		append_cgroup(s, css_set, subsys, prefix, sizeof(prefix) - 1);                     \
	} while (0)

/* cgroups: parameter 14 of exec and clone events; goes on to the event's own step. */
int step_cgroups(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	u64 css_set;
	u32 start, end;

	if (!s)
		return 0;
	css_set = read_u64(s->task + OFF_TASK_CGROUPS);
	start = s->off;
#ifdef SUBSYS_CPUSET
	APPEND_CGROUP(s, css_set, SUBSYS_CPUSET, "cpuset=");
#endif
#ifdef SUBSYS_CPU
	APPEND_CGROUP(s, css_set, SUBSYS_CPU, "cpu=");
#endif
#ifdef SUBSYS_CPUACCT
	APPEND_CGROUP(s, css_set, SUBSYS_CPUACCT, "cpuacct=");
#endif
#ifdef SUBSYS_IO
	APPEND_CGROUP(s, css_set, SUBSYS_IO, "io=");
#endif
#ifdef SUBSYS_MEMORY
	APPEND_CGROUP(s, css_set, SUBSYS_MEMORY, "memory=");
#endif
	end = s->off;
	s->off = start;
	close_param(s, end - start);
	steps.call(ctx, s->next);
	s->busy = 0;
	count_reason(REASON_NO_STEP);
	return 0;
}
