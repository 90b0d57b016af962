/* SPDX-License-Identifier: Apache-2.0 */
/* Exits of system calls: is the call wanted, does the filter of the loaded rules keep the event, and
 * if so its record.
 *
 * Why the exit and not the entry: the result is known, and the kernel has just read the strings
 * that we want to read, so their pages are present. One tracepoint costs less than two. Called with
 * preemption off.
 *
 * Every open and close of the machine passes here. Where the kernel allows it, this program and all
 * that follow it are of the typed kind (BPF_TRACE_RAW_TP), which loads registers and task facts
 * directly: a call of a helper costs some 15 to 40 ns. TYPED tells which kind it is; what does not
 * apply is dropped by the verifier. */
#pragma once

static u64 (*current_task_btf)(void) = (void *)BPF_FUNC_get_current_task_btf;

/* A load through a typed pointer. As assembly, for bcc would take it for one that it must replace. */
#define LOAD(type, value, base, offset)                                                           \
	asm volatile("%0 = *(" #type " *)(%1 + %2)" : "=r"(value) : "r"(base), "i"(offset))

static __always_inline s64 number_of(u64 regs)
{
#if defined(__x86_64__)
	if (TYPED) {
		s64 number;

		LOAD(u64, number, regs, offsetof(struct pt_regs, orig_ax));
		return number;
	}
#endif
	return syscall_number(regs);
}

/* The task if it is to be looked at, else 0. */
static __always_inline u64 task_in_scope(void)
{
	u64 task;
	u32 tgid;
	bool is_32bit;

#if defined(__x86_64__) && defined(OFF_TASK_THREAD_STATUS)
	if (TYPED) {
		u32 status;

		task = current_task_btf();
		LOAD(u32, tgid, task, OFF_TASK_TGID);
		LOAD(u32, status, task, OFF_TASK_THREAD_STATUS);
		is_32bit = status & TS_COMPAT;
	} else
#endif
	{
		tgid = bpf_get_current_pid_tgid() >> 32;
		if (tgid == SELF_TGID)
			return 0;
		task = bpf_get_current_task();
		is_32bit = is_32bit_call(task);
	}
	if (!in_scope(task, tgid))
		return 0;
	if (is_32bit) {
		count_reason(REASON_IA32);
		return 0;
	}
	return task;
}

/* Whether this is surely a native call that is looked at, whoever makes it; so where a filter leaves
 * the event out, nobody has to find out the task, which costs 30 ns. `syscall` leaves the address
 * behind it in rcx; `int 0x80` does so only by chance or on purpose. */
static __always_inline bool is_surely_native(u64 regs)
{
#if defined(__x86_64__)
	if (TYPED && !SCOPE_PID && !SCOPE_CGROUP_ID) {
		u64 cs, cx, ip;

		LOAD(u64, cs, regs, offsetof(struct pt_regs, cs));
		LOAD(u64, cx, regs, offsetof(struct pt_regs, cx));
		LOAD(u64, ip, regs, offsetof(struct pt_regs, ip));
		return cs == USER_CS && cx == ip;
	}
#endif
	return false;
}

/* A tail call whose index the verifier knows, so that the kernel makes a plain jump of it. What
 * follows keeps the compiler from merging several into one with a variable index. */
#define JUMP_TO_FILTER(ctx, number)                                                                \
	do {                                                                                       \
		tail_call(ctx, MAP_FILTERS, number);                                               \
		asm volatile("" : : "i"(number));                                                  \
	} while (0)

/* To the filter of the call, if it has one. */
static __always_inline void run_filter(void *ctx, u32 number)
{
	switch (number) {
	case NR_OPENAT:
		JUMP_TO_FILTER(ctx, NR_OPENAT);
		break;
#ifdef NR_OPEN
	case NR_OPEN:
		JUMP_TO_FILTER(ctx, NR_OPEN);
		break;
#endif
	case NR_CONNECT:
		JUMP_TO_FILTER(ctx, NR_CONNECT);
		break;
	case NR_ACCEPT4:
		JUMP_TO_FILTER(ctx, NR_ACCEPT4);
		break;
	case NR_SOCKET:
		JUMP_TO_FILTER(ctx, NR_SOCKET);
		break;
	default:
		tail_call(ctx, MAP_FILTERS, number);
	}
}

static __always_inline struct syscall_info *info_of(u32 number)
{
	return number < MAX_NUMBER ? map_lookup(MAP_SYSCALLS, &number) : 0;
}

static __always_inline struct syscall_info *wanted_call(u32 number)
{
	struct syscall_info *info = info_of(number);

	return info && info->code ? info : 0;
}

/* What a return from a signal handler leaves as the number. */
#define NO_CALL ((u32)-1)

/* A call that nobody wants. Nearly all are known for what they are; one that is not (a number that is
 * new, or out of range as those of x32 are) is counted, and so is every call of a 32-bit program,
 * whose numbers mean something else. */
static __always_inline int count_odd(struct syscall_info *info, u32 number, u64 regs)
{
	bool is_unknown = info ? info->flags & SYSCALL_UNKNOWN : number != NO_CALL;
#if defined(__x86_64__)
	if (TYPED) {
		u64 cs;

		LOAD(u64, cs, regs, offsetof(struct pt_regs, cs));
		if (cs == USER32_CS) {
			task_in_scope(); /* counts it */
			return 0;
		}
	}
#endif
	if (is_unknown && task_in_scope())
		count_reason(REASON_UNKNOWN_CALL);
	return 0;
}

int hook_sys_exit(struct bpf_raw_tracepoint_args *ctx)
{
	u64 regs = ctx->args[0];
	u32 number = number_of(regs);
	struct syscall_info *info = info_of(number);

	if (!info || !info->code)
		return count_odd(info, number, regs);
	if (info->flags & (SYSCALL_ONLY_STATE | SYSCALL_BEAT)) {
		if (info->flags & SYSCALL_BEAT)
			return bpf_get_current_pid_tgid() >> 32 == SELF_TGID
				       ? answer_beat(BEAT_SYS_EXIT)
				       : 0;
		/* What failed changed nothing. */
		if ((s64)ctx->args[1] < 0)
			return 0;
	}
	if (!is_surely_native(regs) && !task_in_scope())
		return 0;
	/* A successful exec is reported from the exec tracepoint. */
	if (info->step == STEP_EXEC_FAILED && (s64)ctx->args[1] >= 0)
		return 0;
#if defined(__aarch64__)
	/* There the child never passes the exit of clone; task_fork reports it. */
	if (info->step == STEP_CLONE && !ctx->args[1])
		return 0;
#endif
	run_filter(ctx, number);
	/* No filter: every event of this call is wanted. */
	tail_call(ctx, MAP_FILTERS, FILTER_RECORD);
	return 0;
}

static __always_inline int record_exit(struct bpf_raw_tracepoint_args *ctx, u32 flags)
{
	u64 regs = ctx->args[0];
	struct syscall_info *info = wanted_call(number_of(regs));
	struct scratch *s;

	if (!info || !task_in_scope())
		return 0;
	s = begin_record(info->code, info->nparams, info->flags & SYSCALL_STATE);
	if (!s)
		return 0;
	s->flags = info->flags & SYSCALL_ONLY_STATE ? RECORD_STATE_ONLY : flags;
	s->ret = ctx->args[1];
	s->ops = info->step == STEP_GENERIC ? info->ops : info->flags;
	save_args(s, regs);
	run_step(ctx, info->step);
	return lost_step(s);
}

/* Where events go on to that are kept. */
int record_call(struct bpf_raw_tracepoint_args *ctx)
{
	return record_exit(ctx, 0);
}

/* The same for those that no rule can match, but that the state needs. */
int record_state(struct bpf_raw_tracepoint_args *ctx)
{
	return record_exit(ctx, RECORD_STATE_ONLY);
}
