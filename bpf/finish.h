/* SPDX-License-Identifier: Apache-2.0 */
/* The last steps of every record: header, hand over to the ring buffer, counting. */
#pragma once

/* Puts a record into the ring that a filter has seen. */
int step_submit(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();

	if (!s)
		return 0;
	hand_over(s);
	s->busy = 0;
	return 0;
}

int step_finish(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct record_header *h;
	u64 kn;

	if (!s)
		return 0;
	note_renames(s);
	h = (struct record_header *)s->data;
	kn = fill_header(s, h);
	if (s->tells_cgroup && h->mntns != HOST_MNTNS)
		attach_cgroup(s, kn);
	if (s->judge)
		run_step(ctx, STEP_JUDGE);
	hand_over(s);
	if (s->messages) {
		run_step(ctx, STEP_MESSAGE);
		return lost_step(s);
	}
	s->busy = 0;
	return 0;
}
