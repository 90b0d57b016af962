/* SPDX-License-Identifier: Apache-2.0 */
/* The last step of every record: header, hand over to the ring buffer, counting. */
#pragma once

int step_finish(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct record_header *h;
	struct event_counters *count;
	u64 size;
	u32 code;

	if (!s)
		return 0;
	h = (struct record_header *)s->data;
	fill_header(s, h);
	size = s->off;
	h->record_len = size;
	h->attachments_len = size - s->params_end;
	h->flags = s->flags;
	code = s->code;
	BOUND(size, 0x7fff);
	if (ring_output(MAP_EVENTS, s->data, size, 0)) {
		count_drop(code);
	} else {
		count = map_lookup(MAP_COUNTERS, &code);
		if (count) {
			count->submitted += 1;
			if (s->flags & RECORD_TRUNCATED)
				count->truncated += 1;
			if (s->flags & RECORD_STATE_ONLY)
				count->state_only += 1;
		}
	}
	s->busy = 0;
	return 0;
}
