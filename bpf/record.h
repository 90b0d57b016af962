/* SPDX-License-Identifier: Apache-2.0 */
/* Building a record: parameters are appended to the scratch memory of this CPU. */
#pragma once

/* The verifier forgets bounds when the compiler moves a mask away from its use; inline assembly
 * keeps the two together. */
#define BOUND(value, mask) asm volatile("%0 &= " #mask : "+r"(value))

/* Keeps the counter of a loop that has a second limit. The compiler would rather count down from the
 * smaller of the two to zero, which verifiers before 6.8 take for a loop without an end: that a
 * number is not zero tells them nothing of its range. */
#define COUNT_UP(i) asm volatile("" : "+r"(i))

/* Position in the record that a step is writing. It lives in registers; save_writer puts it back
 * for the next step. */
struct writer {
	struct scratch *s;
	u64 off; /* where the next byte goes */
	u64 slot; /* where the next parameter's length goes */
};

/* param: index of the first parameter that the step writes. */
static __always_inline struct writer start_writer(struct scratch *s, u32 param)
{
	struct writer w = {
		.s = s, .off = s->off, .slot = sizeof(struct record_header) + 2 * param};

	return w;
}

static __always_inline void save_writer(struct writer *w)
{
	w->s->off = w->off;
}

/* In loops the position goes through memory, where the verifier does not follow its value: in
 * registers every way through the loop would be a state of its own. */
static __always_inline void forget_position(struct writer *w)
{
	w->s->off = w->off;
	w->s->slot = w->slot;
	asm volatile("" ::: "memory");
	w->off = w->s->off;
	w->slot = w->s->slot;
	BOUND(w->slot, 0xff);
}

/* Where the next byte goes. */
static __always_inline u8 *tail_of(struct writer *w)
{
	u64 off = w->off;

	BOUND(off, 0x7fff);
	return w->s->data + off;
}

/* Puts a NUL over the last of the bytes that were written at the tail: at least one. */
static __always_inline void terminate(struct writer *w, u64 len)
{
	u64 last = w->off + len - 1;

	BOUND(last, 0x7fff);
	w->s->data[last] = 0;
}

/* Notes that the parameter just written is `len` bytes long. */
static __always_inline void close_param(struct writer *w, u32 len)
{
	*(u16 *)(w->s->data + w->slot) = len;
	w->slot += 2;
	w->off += len;
}

static __always_inline void put_u8(struct writer *w, u8 value)
{
	*tail_of(w) = value;
	close_param(w, 1);
}

static __always_inline void put_u16(struct writer *w, u16 value)
{
	*(u16 *)tail_of(w) = value;
	close_param(w, 2);
}

static __always_inline void put_u32(struct writer *w, u32 value)
{
	*(u32 *)tail_of(w) = value;
	close_param(w, 4);
}

static __always_inline void put_u64(struct writer *w, u64 value)
{
	*(u64 *)tail_of(w) = value;
	close_param(w, 8);
}

/* A string argument. An unreadable pointer gives an empty parameter. */
static __always_inline u32 put_user_string(struct writer *w, u64 from)
{
	long len = read_user_str(tail_of(w), STRING_MAX, from);

	if (len < 0)
		len = 0;
	if (len == STRING_MAX)
		w->s->flags |= RECORD_TRUNCATED_PATH;
	close_param(w, len);
	return len;
}

/* Asks for the path or the facts of a descriptor to be attached (fd is unused for ATTACH_CWD). */
static __always_inline void want_attachment(struct scratch *s, u32 kind, s32 fd)
{
	u64 at = s->natt;

	if (at >= MAX_ATTACH)
		return;
	s->att_kind[at & 3] = kind;
	s->att_fd[at & 3] = fd;
	s->natt = at + 1;
}

static __always_inline struct scratch *this_scratch(void)
{
	u32 cpu = bpf_get_smp_processor_id();

	return map_lookup(MAP_SCRATCH, &cpu);
}

/* Whether a record that the state has no use for may go into the ring; counted if not. The last part
 * is kept for the others: a process whose start is lost is a blind spot for all of its life. */
static __always_inline bool has_room(u32 code)
{
	if (ring_query(MAP_EVENTS, BPF_RB_AVAIL_DATA) <= RING_LIMIT)
		return true;
	count_drop(code);
	return false;
}

/* Takes this CPU's scratch memory for one record. Tracepoints run with preemption off on the
 * kernels we know; should one interrupt another all the same, it is counted, not mixed up.
 *
 * is_state: the event changes what is known of processes. */
static __always_inline struct scratch *begin_record(u32 code, u32 nparams, bool is_state)
{
	struct scratch *s = this_scratch();

	if (!s)
		return 0;
	if (!is_state && !has_room(code))
		return 0;
	if (s->busy) {
		count_reason(REASON_SCRATCH_BUSY);
		return 0;
	}
	s->busy = 1;
	s->code = code;
	s->nparams = nparams;
	s->flags = 0;
	s->judge = 0;
	s->renames = 0;
	s->tells_cgroup = 0;
	s->natt = 0;
	s->att_done = 0;
	s->messages = 0;
	s->off = sizeof(struct record_header) + 2 * nparams;
	s->task = bpf_get_current_task();
	return s;
}

/* Gives up on a record whose next step is missing; only a broken start can cause that. */
static __always_inline int lost_step(struct scratch *s)
{
	s->busy = 0;
	count_reason(REASON_NO_STEP);
	return 0;
}

static __always_inline int end_record(void *ctx, struct writer *w)
{
	struct scratch *s = w->s;

	save_writer(w);
	s->params_end = w->off;
	if (s->natt)
		run_step(ctx, STEP_ATTACH);
	else
		run_step(ctx, STEP_FINISH);
	return lost_step(s);
}

/* Wakes the reader of the ring for a record that was put there, if it sleeps. Many that are for the
 * state alone make one wake-up: only the first in a while wakes, or one that finds the ring filling.
 * Why not the kernel's own choice: it wakes for a record that the reader has nothing unread before,
 * which would leave an event asleep behind records that did not wake. */
static __always_inline void wake_reader(bool is_quiet, u64 ts_ns)
{
	u32 zero = 0;
	struct reader *reader = map_lookup(MAP_READER, &zero);
	void *room;

	if (!reader || !*(volatile u64 *)&reader->sleeps)
		return;
	if (is_quiet && ts_ns - reader->woken_ns < GATHER_NS &&
	    ring_query(MAP_EVENTS, BPF_RB_AVAIL_DATA) * 8 <
		    ring_query(MAP_EVENTS, BPF_RB_RING_SIZE))
		return;
	reader->woken_ns = ts_ns;
	room = ring_reserve(MAP_EVENTS, 8, 0);
	if (room)
		ring_discard(room, BPF_RB_FORCE_WAKEUP);
}

/* Completes the header of the record in the scratch memory, hands it over to the ring buffer and
 * counts it. */
static __always_inline void hand_over(struct scratch *s)
{
	struct record_header *h = (struct record_header *)s->data;
	bool is_quiet = s->flags & RECORD_STATE_ONLY;
	struct event_counters *count;
	u32 code = s->code;
	u64 size = s->off;

	h->record_len = size;
	h->attachments_len = size - s->params_end;
	h->flags = s->flags;
	BOUND(size, 0x7fff);
	if (ring_output(MAP_EVENTS, s->data, size, BPF_RB_NO_WAKEUP)) {
		count_drop(code);
		return;
	}
	wake_reader(is_quiet, h->ts_ns);
	if (s->renames)
		forget_renames(s);
	count = map_lookup(MAP_COUNTERS, &code);
	if (count) {
		count->submitted += 1;
		if (s->flags & RECORD_TRUNCATED)
			count->truncated += 1;
		if (is_quiet)
			count->state_only += 1;
	}
}
