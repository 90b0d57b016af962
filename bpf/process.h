/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters that process events share: clone family and exec. All values are those of the task
 * that the event belongs to. */
#pragma once

#define PARAM_ROOM 4096

/* exe (first string) and args (the others) from the task's argument memory; together at most
 * PARAM_ROOM bytes, the last one forced to NUL. */
static __always_inline void put_exe_and_args(struct writer *w)
{
	u64 mm = read_u64(w->s->task + OFF_TASK_MM);
	u64 from = read_u64(mm + OFF_MM_ARG_START);
	u64 end = read_u64(mm + OFF_MM_ARG_END);
	u64 rest;
	long len = -1;

	if (mm && end > from)
		len = read_user_str(tail_of(w), PARAM_ROOM, from);
	if (len <= 0) {
		close_param(w, 0);
		close_param(w, 0);
		return;
	}
	close_param(w, len);
	rest = end - from - len;
	w->s->args_at = w->off;
	if (end - from <= (u64)len) {
		close_param(w, 0);
		return;
	}
	if (rest > PARAM_ROOM - (u64)len) {
		rest = PARAM_ROOM - (u64)len;
		w->s->flags |= RECORD_TRUNCATED_ARGS;
	}
	BOUND(rest, 0xfff);
	if (!rest || read_user(tail_of(w), rest, from + len)) {
		close_param(w, 0);
		return;
	}
	terminate(w, rest);
	close_param(w, rest);
}

/* tid to comm: parameters 3 to 13 of exec and clone events. */
int step_process(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct memory_use use;
	struct writer w;
	u64 task;
	long len;

	if (!s)
		return 0;
	w = start_writer(s, 3);
	task = s->task;
	put_u64(&w, read_u32(task + OFF_TASK_PID));
	put_u64(&w, read_u32(task + OFF_TASK_TGID));
	put_u64(&w, read_u32(read_u64(task + OFF_TASK_REAL_PARENT) + OFF_TASK_PID));
	*tail_of(&w) = 0;
	close_param(&w, 1); /* cwd: known to the attachment and to the thread's state */
	put_u64(&w, read_u64(read_u64(task + OFF_TASK_SIGNAL) + OFF_SIGNAL_RLIM +
			    RLIMIT_NOFILE * 16));
	put_u64(&w, read_u64(task + OFF_TASK_MAJ_FLT));
	put_u64(&w, read_u64(task + OFF_TASK_MIN_FLT));
	read_memory_use(&use, task);
	put_u32(&w, use.size);
	put_u32(&w, use.resident);
	put_u32(&w, use.swapped);
	len = read_kernel_str(tail_of(&w), 16, task + OFF_TASK_COMM);
	close_param(&w, len > 0 ? len : 0);
	save_writer(&w);
	run_step(ctx, STEP_CGROUPS);
	return lost_step(s);
}

#define CGROUP_COMPONENTS 6
#define CGROUP_COMPONENTS_MAX 15

/* Notes the directories from this one up to the root, at most so many; whether that is all. */
static __always_inline bool find_components(struct scratch *s, u64 kn, u32 most)
{
	s->depth = 0;
	for (u32 i = 0; i <= most; i++) {
		u64 parent = read_u64(kn + OFF_KN_PARENT);

		if (!parent)
			return true;
		if (i < most) {
			s->kn[i & 15] = kn;
			kn = parent;
			s->depth = i + 1;
		}
	}
	return false;
}

/* Writes the path that they make, without a NUL. */
static __always_inline void append_components(struct writer *w, u32 most)
{
	struct scratch *s = w->s;
	long len;

	forget_position(w);
	if (!s->depth) {
		*tail_of(w) = '/';
		w->off += 1;
	}
	for (u32 i = 0; i < most; i++) {
		u64 depth = s->depth;

		if (i >= depth)
			break;
		forget_position(w);
		*tail_of(w) = '/';
		depth -= i + 1;
		len = read_kernel_str(tail_of(w) + 1, 256, read_u64(s->kn[depth & 15] + OFF_KN_NAME));
		w->off += len > 0 ? len : 1;
	}
	forget_position(w);
}

/* "name=/path" and a NUL for one controller: the innermost components of the path. `name` holds
 * up to eight characters, the first in the lowest byte. */
static __always_inline void append_cgroup(struct writer *w, u64 css_set, u32 subsys, u64 name, u32 name_len)
{
	u64 css = read_u64(css_set + OFF_CSS_SET_SUBSYS + 8 * (u64)subsys);
	u64 kn = read_u64(read_u64(css + OFF_CSS_CGROUP) + OFF_CGROUP_KN);

	*(u64 *)tail_of(w) = name;
	w->off += name_len;
	if (!find_components(w->s, kn, CGROUP_COMPONENTS))
		w->s->flags |= RECORD_TRUNCATED_CGROUPS;
	append_components(w, CGROUP_COMPONENTS);
	*tail_of(w) = 0;
	w->off += 1;
}

/* Attaches the path of a cgroup v2 directory: in whole, or not at all. */
static __always_inline void attach_cgroup(struct scratch *s, u64 kn)
{
	u64 start = s->off;
	struct writer w;

	if (!find_components(s, kn, CGROUP_COMPONENTS_MAX) || !s->depth)
		return;
	w = start_writer(s, 0);
	*(u32 *)tail_of(&w) = ATTACH_CGROUP; /* and room for the length */
	w.off += 4;
	append_components(&w, CGROUP_COMPONENTS_MAX);
	BOUND(start, 0x7fff);
	*(u16 *)(s->data + start + 2) = w.off - start - 4;
	save_writer(&w);
}

/* cgroups: parameter 14 of exec and clone events; goes on to the event's own step. The list is a
 * loop so that it is compiled once. */
int step_cgroups(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct writer w;
	u64 css_set, start, end, name;
	u32 subsys, len;

	if (!s)
		return 0;
	css_set = read_u64(s->task + OFF_TASK_CGROUPS);
	w = start_writer(s, 14);
	start = w.off;
	for (u32 i = 0; i < 5; i++) {
		forget_position(&w);
		if (i == 0) {
			subsys = SUBSYS_CPUSET;
			name = 0x3d746573757063; /* cpuset= */
			len = 7;
		} else if (i == 1) {
			subsys = SUBSYS_CPU;
			name = 0x3d757063; /* cpu= */
			len = 4;
		} else if (i == 2) {
			subsys = SUBSYS_CPUACCT;
			name = 0x3d74636361757063; /* cpuacct= */
			len = 8;
		} else if (i == 3) {
			subsys = SUBSYS_IO;
			name = 0x3d6f69; /* io= */
			len = 3;
		} else {
			subsys = SUBSYS_MEMORY;
			name = 0x3d79726f6d656d; /* memory= */
			len = 7;
		}
		if (subsys != SUBSYS_NONE)
			append_cgroup(&w, css_set, subsys, name, len);
	}
	end = w.off;
	w.off = start;
	close_param(&w, end - start);
	save_writer(&w);
	run_step(ctx, s->next);
	return lost_step(s);
}
