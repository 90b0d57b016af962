/* SPDX-License-Identifier: Apache-2.0 */
/* Which tasks the probe looks at: never its own process; and, when so started, only a cgroup
 * subtree (SCOPE_CGROUP_*) or a process tree (SCOPE_PID, kept up to date by hook_fork). */
#pragma once

static __always_inline bool in_scope_cgroup(u64 task)
{
	u64 css_set = read_u64(task + OFF_TASK_CGROUPS);
	u64 cgroup;

	if (SCOPE_CGROUP_SUBSYS) {
		u64 at = css_set + OFF_CSS_SET_SUBSYS + 8 * (SCOPE_CGROUP_SUBSYS - 1);

		cgroup = read_u64(read_u64(at) + OFF_CSS_CGROUP);
	} else {
		cgroup = read_u64(css_set + OFF_CSS_SET_DFL);
	}
	if (read_u32(cgroup + OFF_CGROUP_LEVEL) < SCOPE_CGROUP_LEVEL)
		return false;
#ifdef OFF_CGROUP_ANCESTORS
	u64 ancestor = read_u64(cgroup + OFF_CGROUP_ANCESTORS + 8 * (u64)SCOPE_CGROUP_LEVEL);

	return read_u64(read_u64(ancestor + OFF_CGROUP_KN) + OFF_KN_ID) == SCOPE_CGROUP_ID;
#else
	return read_u64(cgroup + OFF_CGROUP_ANCESTOR_IDS + 8 * (u64)SCOPE_CGROUP_LEVEL) ==
	       SCOPE_CGROUP_ID;
#endif
}

static __always_inline bool in_scope(u64 task, u32 tgid)
{
	if (tgid == SELF_TGID)
		return false;
	if (SCOPE_PID && !map_lookup(MAP_SCOPE_PIDS, &tgid))
		return false;
	return !SCOPE_CGROUP_ID || in_scope_cgroup(task);
}
