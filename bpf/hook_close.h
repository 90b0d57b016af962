/* SPDX-License-Identifier: Apache-2.0 */
/* The entry of close: notes what the descriptor is, as long as it is one. Loaded and attached only
 * while close is wanted.
 *
 * Where the kernel allows it, these programs stand at the function of the call itself (AT_FUNCTION),
 * so that no other call of the machine takes longer; else at the entry of every call. They have
 * scratch memory and steps of their own (closing.py): at a function the kernel may let another task
 * run in the middle. */
#pragma once

int hook_close(struct bpf_raw_tracepoint_args *ctx)
{
	u64 regs = ctx->args[0], task;
	struct scratch *s;

	if (!AT_FUNCTION && ctx->args[1] != NR_CLOSE)
		return 0;
	task = bpf_get_current_task();
	/* What hook_sys_exit does not take for close must leave no note. */
	if (syscall_number(regs) != NR_CLOSE || is_32bit_call(task) ||
	    !in_scope(task, bpf_get_current_pid_tgid() >> 32))
		return 0;
	s = this_scratch();
	if (!s || s->busy)
		return 0; /* counted at the exit, for which there is no note */
	s->busy = 1;
	s->task = task;
	s->flags = 0;
	s->natt = 0;
	s->att_done = 0;
	s->off = offsetof(struct closing, attachment);
	save_args(s, regs);
	want_attachment(s, ATTACH_FD, s->args[0]);
	run_step(ctx, STEP_ATTACH);
	return lost_step(s);
}

/* Behind the attachment, in place of STEP_FINISH. */
int note_closed(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct closing *note;
	u32 tid = bpf_get_current_pid_tgid();

	if (!s)
		return 0;
	note = (struct closing *)s->data;
	note->len = s->off - offsetof(struct closing, attachment);
	note->flags = s->flags;
	if (note->len)
		map_update(MAP_CLOSING, &tid, note, BPF_ANY);
	s->busy = 0;
	return 0;
}
