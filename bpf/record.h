/* SPDX-License-Identifier: Apache-2.0 */
/* Building a record: parameters are appended to the scratch memory of this CPU. */
#pragma once

/* The verifier forgets bounds when the compiler moves a mask away from its use; inline assembly
 * keeps the two together. */
#define BOUND(value, mask) asm volatile("%0 &= " #mask : "+r"(value))

/* Where the next byte goes. */
static inline u8 *tail_of(struct scratch *s)
{
	u64 off = s->off;

	BOUND(off, 0x7fff);
	return s->data + off;
}

/* Notes that the parameter just written is `len` bytes long. */
static inline void close_param(struct scratch *s, u32 len)
{
	u64 at = sizeof(struct record_header) + 2 * s->param;

	BOUND(at, 0xff);
	*(u16 *)(s->data + at) = len;
	s->param += 1;
	s->off += len;
}

static inline void put_u8(struct scratch *s, u8 value)
{
	*tail_of(s) = value;
	close_param(s, 1);
}

static inline void put_u16(struct scratch *s, u16 value)
{
	*(u16 *)tail_of(s) = value;
	close_param(s, 2);
}

static inline void put_u32(struct scratch *s, u32 value)
{
	*(u32 *)tail_of(s) = value;
	close_param(s, 4);
}

static inline void put_u64(struct scratch *s, u64 value)
{
	*(u64 *)tail_of(s) = value;
	close_param(s, 8);
}

/* A string argument. An unreadable pointer gives an empty parameter. */
static inline u32 put_user_string(struct scratch *s, u64 from)
{
	long len = read_user_str(tail_of(s), STRING_MAX, from);

	if (len < 0)
		len = 0;
	if (len == STRING_MAX)
		s->flags |= RECORD_TRUNCATED_PATH;
	close_param(s, len);
	return len;
}

/* Asks for the path or the facts of a descriptor to be attached (fd is unused for ATTACH_CWD). */
static inline void want_attachment(struct scratch *s, u32 kind, s32 fd)
{
	u64 at = s->natt;

	if (at >= MAX_ATTACH)
		return;
	s->att_kind[at & 3] = kind;
	s->att_fd[at & 3] = fd;
	s->natt = at + 1;
}

static inline struct scratch *this_scratch(void)
{
	u32 cpu = bpf_get_smp_processor_id();

	return scratch.lookup(&cpu);
}

/* Takes this CPU's scratch memory for one record. Tracepoints run with preemption off on the
 * kernels we know; should one interrupt another all the same, it is counted, not mixed up. */
static inline struct scratch *begin_record(u32 code, u32 nparams)
{
	struct scratch *s = this_scratch();

	if (!s)
		return 0;
	if (s->busy) {
		count_reason(REASON_SCRATCH_BUSY);
		return 0;
	}
	s->busy = 1;
	s->code = code;
	s->nparams = nparams;
	s->param = 0;
	s->flags = 0;
	s->natt = 0;
	s->att_done = 0;
	s->off = sizeof(struct record_header) + 2 * nparams;
	s->task = bpf_get_current_task();
	return s;
}

static inline void end_record(void *ctx, struct scratch *s)
{
	s->params_end = s->off;
	if (s->natt)
		steps.call(ctx, STEP_ATTACH);
	else
		steps.call(ctx, STEP_FINISH);
	s->busy = 0;
	count_reason(REASON_NO_STEP);
}
