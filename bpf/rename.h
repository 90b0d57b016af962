/* SPDX-License-Identifier: Apache-2.0 */
/* Whose name has changed since user space heard of it.
 *
 * User space takes a thread's name from the thread's own events. A name written from outside
 * (/proc/PID/comm) comes with none, so until the next event the kernel knows another name than user
 * space does, and a filter must not decide by it. */
#pragma once

/* Key that no thread has: its value is not 0 once there was no room for a rename. */
#define RENAMES_LOST 0

static __always_inline u32 *renames_of(u32 tid)
{
	return map_lookup(MAP_RENAMED, &tid);
}

/* Whether the name of a thread is the one that user space knows. */
static __always_inline bool is_name_told(u32 tid)
{
	u32 *lost = renames_of(RENAMES_LOST);

	return lost && !*lost && !renames_of(tid);
}

/* In front of reading the name that a record tells. */
static __always_inline void note_renames(struct scratch *s)
{
	u32 *count = renames_of(bpf_get_current_pid_tgid());

	s->renames = count ? *count : 0;
}

/* Behind handing that record over. Another rename meanwhile is not told yet. */
static __always_inline void forget_renames(struct scratch *s)
{
	u32 tid = bpf_get_current_pid_tgid();
	u32 *count = renames_of(tid);

	if (count && *count == s->renames)
		map_delete(MAP_RENAMED, &tid);
}
