/* SPDX-License-Identifier: Apache-2.0 */
/* Which tasks the probe looks at: never its own process; and, when so started, only a cgroup
 * subtree (SCOPE_CGROUP_*) or a process tree (SCOPE_PID, kept up to date by task_fork). */
#pragma once

static __always_inline u64 cgroup_of(u64 task)
{
	u64 css_set = read_u64(task + OFF_TASK_CGROUPS);

#if defined(SCOPE_CGROUP_SUBSYS)
	u64 css = read_u64(css_set + OFF_CSS_SET_SUBSYS + 8 * SCOPE_CGROUP_SUBSYS);

	return read_u64(css + OFF_CSS_CGROUP);
#else
	return read_u64(css_set + OFF_CSS_SET_DFL);
#endif
}

static __always_inline bool in_scope(u64 task, u32 tgid)
{
	if (tgid == SELF_TGID)
		return false;
#ifdef SCOPE_PID
	if (!map_lookup(MAP_SCOPE_PIDS, &tgid))
		return false;
#endif
#ifdef SCOPE_CGROUP_ID
	u64 cgroup = cgroup_of(task);

	if (read_u32(cgroup + OFF_CGROUP_LEVEL) < SCOPE_CGROUP_LEVEL)
		return false;
#ifdef OFF_CGROUP_ANCESTORS
	u64 ancestor = read_u64(cgroup + OFF_CGROUP_ANCESTORS + 8 * SCOPE_CGROUP_LEVEL);

	return read_u64(read_u64(ancestor + OFF_CGROUP_KN) + OFF_KN_ID) == SCOPE_CGROUP_ID;
#else
	return read_u64(cgroup + OFF_CGROUP_ANCESTOR_IDS + 8 * SCOPE_CGROUP_LEVEL) ==
	       SCOPE_CGROUP_ID;
#endif
#endif
	return true;
}
