/* SPDX-License-Identifier: Apache-2.0 */
/* What filters of finished records look at. Everything comes from the record itself, so it is to
 * the byte what user space will read there. */
#pragma once

#define JUDGED_TEXTS 6
#define MAX_ENV_PLACES 1024
#define ZEROS_LOW 0x7f7f7f7f7f7f7f7full

static __always_inline struct judged *this_judged(void)
{
	u32 cpu = bpf_get_smp_processor_id();

	return map_lookup(MAP_JUDGED, &cpu);
}

/* Length of a parameter of the record. */
static __always_inline u32 length_of(struct scratch *s, u32 param)
{
	return *(u16 *)(s->data + sizeof(struct record_header) + 2 * param);
}

/* Copies a parameter that holds one string; an empty one and one too long are unknown. */
static __always_inline void judge_string(struct judged_text *text, struct scratch *s, u64 at,
					 u32 length)
{
	long copied = 0;

	BOUND(at, 0x7fff);
	if (length && length < JUDGED_TEXT_BYTES)
		copied = read_kernel_str(text->text, JUDGED_TEXT_BYTES, (u64)(s->data + at));
	text->length = copied > 0 ? copied - 1 : JUDGED_UNKNOWN;
}

/* The arguments with blanks between them; and so behind the name, if there are any. */
static __always_inline void judge_args(struct judged *j, struct scratch *s, u64 at, u64 length)
{
	u8 *args = j->args.text, *line = j->command_line.text;
	u64 start = j->comm.length;
	u64 end;

	read_kernel(line, 16, (u64)j->comm.text);
	j->args.length = length ? length - 1 : 0;
	j->command_line.length = length ? start + length : start;
	if (length > JUDGED_TEXT_BYTES - 16 || start > 15) {
		j->args.length = j->command_line.length = JUDGED_UNKNOWN;
		return;
	}
	BOUND(at, 0x7fff);
	BOUND(start, 0xf);
	line += start;
	if (length) {
		*line = ' ';
		line += 1;
		for (u64 i = 0; i < JUDGED_TEXT_BYTES; i += 8) {
			u64 word, zeros;

			if (i >= length)
				break;
			word = *(u64 *)(s->data + at + i);
			/* 0x80 for every byte that is zero; a quarter of it is a blank. */
			zeros = ~(((word & ZEROS_LOW) + ZEROS_LOW) | word | ZEROS_LOW);
			word |= zeros >> 2;
			*(u64 *)(args + i) = word;
			*(u64 *)(line + i) = word;
		}
	}
	end = length ? length - 1 : 0;
	BOUND(end, 0x1ff);
	*(u64 *)(args + end) = 0;
	*(u64 *)(line + end) = 0;
}

/* Needles that stand at a place, as far as eight bytes tell. */
static __always_inline u64 needles_at(u64 table[8][256], u8 *at)
{
	u64 found = table[0][at[0]];

	if (!found)
		return 0;
	found &= table[1][at[1]];
	if (!found)
		return 0;
	found &= table[2][at[2]] & table[3][at[3]];
	if (!found)
		return 0;
	return found & table[4][at[4]] & table[5][at[5]] & table[6][at[6]] & table[7][at[7]];
}

static __always_inline struct needles *all_needles(void)
{
	u32 zero = 0;

	return map_lookup(MAP_NEEDLES, &zero);
}

/* Searches one text that rules look into, then goes on to the next. A text that is not known is
 * not searched: its filter asks for that first. */
int step_scan(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct judged *j = this_judged();
	struct needles *n = all_needles();
	struct judged_text *text;
	u64 which, found = 0;

	if (!s)
		return 0;
	if (!j || !n)
		goto submit;
	which = s->scan;
	for (u32 i = 0; i < JUDGED_TEXTS; i++) {
		if (n->wanted >> (which & 7) & 1)
			break;
		which += 1;
	}
	if (which >= JUDGED_TEXTS) {
		run_step(ctx, STEP_SCAN_ENV);
		goto submit;
	}
	BOUND(which, 7);
	text = &j->comm + which;
	for (u64 i = 0; i < JUDGED_TEXT_BYTES; i++) {
		if (i >= text->length)
			break;
		found |= needles_at(n->texts, text->text + i);
	}
	j->found[which] = found;
	s->scan = which + 1;
	run_step(ctx, STEP_SCAN);
submit:
	run_step(ctx, STEP_SUBMIT);
	return lost_step(s);
}

/* Searches the environment. One that is too long for that, or was not read, may hold anything. */
int step_scan_env(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct judged *j = this_judged();
	struct needles *n = all_needles();
	u64 found = 0, at, length, stride;

	if (!s)
		return 0;
	if (!j || !n)
		goto submit;
	length = length_of(s, 15);
	stride = n->env_stride;
	if (length > stride * MAX_ENV_PLACES || (!length && s->flags & RECORD_TRUNCATED_ENV)) {
		found = ~0ull;
	} else {
		at = s->env_at;
		for (u64 i = 0; i < MAX_ENV_PLACES; i++) {
			u64 place = at;

			if (at - s->env_at >= length)
				break;
			BOUND(place, 0x7fff);
			found |= needles_at(n->env, s->data + place);
			at += stride;
		}
	}
	j->found_env = found;
	run_step(ctx, s->judge);
submit:
	run_step(ctx, STEP_SUBMIT);
	return lost_step(s);
}

/* Name of the parent process, where user space knows the same. A kernel thread's is longer there,
 * and of processes out of scope nothing is told. */
static __always_inline void judge_parent(struct judged_text *text, struct scratch *s)
{
	u64 parent = read_u64(s->task + OFF_TASK_REAL_PARENT);
	u32 pid = read_u32(parent + OFF_TASK_TGID);
	long copied;

	/* The name first: a rename is noted before it happens. */
	copied = read_kernel_str(text->text, 16, read_u64(parent + OFF_TASK_LEADER) + OFF_TASK_COMM);
	if (copied <= 0 || !pid || read_u32(parent + OFF_TASK_FLAGS) & PF_KTHREAD ||
	    !in_scope(parent, pid) || !is_name_told(pid))
		text->length = JUDGED_UNKNOWN;
	else
		text->length = copied - 1;
}

/* Facts of a finished record, then the filter that decides whether rules must look at it. */
int step_judge(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct judged *j = this_judged();
	struct record_header *h;
	u64 comm_at;
	u32 comm_length;

	if (!s)
		return 0;
	if (!j)
		goto submit;
	h = (struct record_header *)s->data;
	j->uid = h->uid;
	j->gid = h->gid;
	j->loginuid = h->loginuid;
	j->tty = h->tty;
	j->vpid = h->vpid;
	j->mntns = h->mntns;
	if (s->judge == FILTER_EXEC) {
		j->exe_flags = s->exe_flags;
		comm_length = length_of(s, 13);
		comm_at = s->env_at - length_of(s, 14) - comm_length;
		judge_string(&j->comm, s, comm_at, comm_length);
		judge_string(&j->exe, s, sizeof(*h) + 2 * NPARAMS_EXECVE + 8, length_of(s, 1));
		judge_string(&j->exepath, s, s->exepath_at, length_of(s, 27));
		judge_args(j, s, s->args_at, length_of(s, 2));
		if (j->comm.length == JUDGED_UNKNOWN)
			goto submit;
		judge_parent(&j->parent, s);
		s->scan = 0;
		run_step(ctx, STEP_SCAN);
	} else {
		long copied = read_kernel_str(j->comm.text, 16, (u64)h->comm);

		j->comm.length = copied > 0 ? copied - 1 : 0;
		run_step(ctx, s->judge);
	}
submit:
	run_step(ctx, STEP_SUBMIT);
	return lost_step(s);
}
