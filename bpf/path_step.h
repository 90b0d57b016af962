/* SPDX-License-Identifier: Apache-2.0 */
/* Asking for a path: the walk itself is a step of its own (path.h). */
#pragma once

/* Writes the path of the struct path at `path_at` behind the record's tail, its length to
 * s->path_len, then goes on with the step `after`. */
static __always_inline int walk_path(void *ctx, struct scratch *s, u64 path_at, u32 after)
{
	s->path_at = path_at;
	s->after_path = after;
	run_step(ctx, STEP_PATH);
	return lost_step(s);
}

/* Closes a path parameter that STEP_PATH has written: adds the NUL. */
static __always_inline void close_path_param(struct writer *w)
{
	u64 end = w->off + w->s->path_len;

	BOUND(end, 0x7fff);
	w->s->data[end] = 0;
	close_param(w, w->s->path_len + 1);
}
