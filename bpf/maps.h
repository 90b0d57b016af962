/* SPDX-License-Identifier: Apache-2.0 */
/* Maps shared by all programs of the probe. Sizes come from exporter/sources/probe/source_text.py. */
#pragma once

/* Steps that several events run through; programs jump between them by tail call, because a
 * record's parts together would exceed what the verifier accepts in one program. */
#define STEP_GENERIC 0
#define STEP_OPEN 1
#define STEP_CREAT 2
#define STEP_OPEN_BY_HANDLE 3
#define STEP_OPEN_BY_HANDLE_END 4
#define STEP_CONNECT 5
#define STEP_ACCEPT 6
#define STEP_BIND 7
#define STEP_SOCKET 8
#define STEP_PTRACE 9
#define STEP_CLONE 10
#define STEP_EXEC_FAILED 11
#define STEP_EXEC_FAILED_ENV 12
#define STEP_PROCESS 13
#define STEP_CGROUPS 14
#define STEP_CLONE_END 15
#define STEP_EXEC_ENV 16
#define STEP_EXEC_FACTS 17
#define STEP_EXEC_END 18
#define STEP_PATH 19
#define STEP_ATTACH 20
#define STEP_ATTACHED 21
#define STEP_FINISH 22
#define STEP_COUNT 23

/* What to do at the exit of a system call; all zero for one that nobody wants. */
struct syscall_info {
	u32 code; /* event code, 0 = not wanted */
	u32 nparams;
	u32 step;
	u32 flags; /* SYSCALL_* */
	u64 ops; /* one nibble a parameter, see generic.h */
};
#define SYSCALL_HAS_DIRFD 1
#define SYSCALL_OPEN_HOW 2
#define SYSCALL_ACCEPT4 4
#define SYSCALL_CLONE_ARG 8
#define SYSCALL_CLONE3_ARG 16
#define SYSCALL_EXECVEAT 32

struct event_counters {
	u64 submitted;
	u64 dropped;
	u64 truncated;
};

#define REASON_IA32 0
#define REASON_SCRATCH_BUSY 1
#define REASON_NO_STEP 2
#define REASON_SCOPE_FULL 3
#define REASON_COUNT 4

BPF_RINGBUF_OUTPUT(events, RING_PAGES);
BPF_ARRAY(scratch, struct scratch, CPUS);
BPF_ARRAY(syscalls, struct syscall_info, 512);
BPF_PROG_ARRAY(steps, STEP_COUNT);
BPF_PERCPU_ARRAY(counters, struct event_counters, EVENT_CODES);
BPF_PERCPU_ARRAY(reasons, u64, REASON_COUNT);
BPF_HASH(scope_pids, u32, u8, 65536);

static inline void count_reason(u32 reason)
{
	u64 *value = reasons.lookup(&reason);

	if (value)
		*value += 1;
}
