/* SPDX-License-Identifier: Apache-2.0 */
/* The last step of every record: header, hand over to the ring buffer, counting. */
#pragma once

int step_finish(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();

	if (!s)
		return 0;
	fill_header(s, (struct record_header *)s->data);
	hand_over(s);
	if (s->messages) {
		run_step(ctx, STEP_MESSAGE);
		return lost_step(s);
	}
	s->busy = 0;
	return 0;
}
