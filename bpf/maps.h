/* SPDX-License-Identifier: Apache-2.0 */
/* Maps shared by all programs of the probe, and jumping between its programs. */
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
#define STEP_NUMBER 23
#define STEP_IO 24
#define STEP_PAIR 25
#define STEP_PRCTL 26
#define STEP_FSCONFIG 27
#define STEP_INIT_MODULE 28
#define STEP_KEYCTL 29
#define STEP_QUOTACTL 30
#define STEP_SOCKOPT 31
#define STEP_IO_PARAMS 32
#define STEP_MESSAGE 33
#define STEP_POLL 34
#define STEP_JUDGE 35
#define STEP_SUBMIT 36
#define STEP_SCAN 37
#define STEP_SCAN_ENV 38
#define STEP_CLOSE 39
#define STEP_COUNT 40
/* Filters of finished records, behind the steps; a slot is empty while every record is wanted. */
#define FILTER_EXEC (STEP_COUNT + 0)
#define FILTER_EXIT (STEP_COUNT + 1)

/* What to do at the exit of a system call; all zero for one that nobody wants. */
struct syscall_info {
	u32 code; /* event code, 0 = not wanted */
	u32 nparams;
	u32 step;
	u32 flags; /* SYSCALL_* */
	u64 ops; /* one byte a parameter, see syscalls_generic.h */
};
#define SYSCALL_HAS_DIRFD 1
#define SYSCALL_OPEN_HOW 2
#define SYSCALL_ACCEPT4 4
#define SYSCALL_CLONE_ARG 8
#define SYSCALL_CLONE3_ARG 16
#define SYSCALL_EXECVEAT 32
#define SYSCALL_PIPE2 64
#define SYSCALL_SOCKETPAIR 128
#define SYSCALL_SET_OPTION 256
#define SYSCALL_PPOLL 512
#define SYSCALL_UNKNOWN (1 << 28) /* never wanted, because nobody knows what it is */
#define SYSCALL_BEAT (1 << 29) /* no call of interest, but how our own process tests the probe */
#define SYSCALL_ONLY_STATE (1 << 30) /* no rule looks: leave out what the state has no use for */
#define SYSCALL_STATE (1 << 31) /* the state follows these events; they are dropped last */

/* The one reader of the ring, mapped by user space. */
struct reader {
	u64 sleeps; /* 1 while it waits to be woken; written by user space alone */
	u64 woken_ns; /* when it was woken last */
};

/* Records that no rule can match wait so long for others; user space looks by itself then. */
#define GATHER_NS 50000000ull

struct event_counters {
	u64 submitted;
	u64 dropped;
	u64 truncated;
	u64 state_only;
};

/* Beside the events' own counters: what could not be reported, and why. */
#define MAX_NUMBER 512 /* native numbers lie below */
#define FILTER_RECORD MAX_NUMBER /* index of record_call behind the filters */
#define FILTER_STATE (MAX_NUMBER + 2) /* that of record_state */
#define FILTER_CLOSE (MAX_NUMBER + 3) /* the filter of close, behind take_closed */

#define REASON_IA32 0
#define REASON_SCRATCH_BUSY 1
#define REASON_NO_STEP 2
#define REASON_SCOPE_FULL 3
#define REASON_RING_FULL 4 /* the sum over all events, quick to read */
#define REASON_UNKNOWN_CALL 5 /* a call that user space knows no name of */
#define REASON_NO_DESCRIPTOR 6 /* a close without what it closed */
#define REASON_BEAT_FULL 7 /* an answer to the self-test that found no room; no loss */
#define REASON_COUNT 8

/* The maps are created by user space (kernel.py), which puts their descriptors in place of these
 * numbers when it loads a program. So this text can be compiled without any privilege, and in
 * several pieces. */
#define MAP_EVENTS bpf_pseudo_fd(1, 1) /* ring buffer */
#define MAP_SCRATCH bpf_pseudo_fd(1, 2) /* array: CPU -> struct scratch */
#define MAP_SYSCALLS bpf_pseudo_fd(1, 3) /* array: number -> struct syscall_info */
#define MAP_STEPS bpf_pseudo_fd(1, 4) /* program array */
#define MAP_COUNTERS bpf_pseudo_fd(1, 5) /* per-CPU array: event code -> struct event_counters */
#define MAP_REASONS bpf_pseudo_fd(1, 6) /* per-CPU array: REASON_* -> u64 */
#define MAP_SCOPE_PIDS bpf_pseudo_fd(1, 7) /* hash: process id -> u8 */
#define MAP_FILTERS bpf_pseudo_fd(1, 8) /* program array: number -> filter, then record_call */
/* Numbers 9 and 10 are maps of the filters (exporter/pushdown/memory.py). */
#define MAP_JUDGED bpf_pseudo_fd(1, 12) /* array: CPU -> struct judged */
/* Number 14 is one of the filters' again. */
#define MAP_RENAMED bpf_pseudo_fd(1, 15) /* hash: thread id -> u32, see rename.h */
#define MAP_READER bpf_pseudo_fd(1, 16) /* array of one struct reader */
#define MAP_NEEDLES bpf_pseudo_fd(1, 13) /* array of one struct needles */
/* Made when it is needed (closing.py), so its number is none in the order of the others: */
#define MAP_CLOSING bpf_pseudo_fd(1, 50) /* hash: thread id -> struct closing */

/* Constants of one start, put in place by the loader in the same way; so the compiled text depends
 * on the kernel alone and can be kept. Those that are not set are 0, and the verifier drops what
 * depends on them. */
#define SELF_TGID ((u32)bpf_pseudo_fd(1, 101))
#define SCOPE_PID bpf_pseudo_fd(1, 102) /* look only at the processes in MAP_SCOPE_PIDS */
#define SCOPE_CGROUP_ID bpf_pseudo_fd(1, 103) /* look only at this cgroup and those below */
#define SCOPE_CGROUP_LEVEL ((u32)bpf_pseudo_fd(1, 104)) /* its depth in its hierarchy */
#define SCOPE_CGROUP_SUBSYS bpf_pseudo_fd(1, 105) /* 1 + index of its v1 controller, 0: v2 */
#define WANT_PROCEXIT bpf_pseudo_fd(1, 106)
#define TYPED bpf_pseudo_fd(1, 108) /* the program's context and task are typed pointers */
#define RING_LIMIT bpf_pseudo_fd(1, 107) /* bytes in the ring that leave room for the state's events */

#define AT_FUNCTION bpf_pseudo_fd(1, 110) /* the program stands at a function, not a tracepoint */
#define HOST_MNTNS ((u32)bpf_pseudo_fd(1, 111)) /* mount namespace of the host */
#define SNAPLEN bpf_pseudo_fd(1, 109) /* bytes of what is read and written that a record shows */

static void *(*map_lookup)(u64 map, const void *key) = (void *)BPF_FUNC_map_lookup_elem;
static long (*map_update)(u64 map, const void *key, const void *value, u64 flags) =
	(void *)BPF_FUNC_map_update_elem;
static long (*map_delete)(u64 map, const void *key) = (void *)BPF_FUNC_map_delete_elem;
static long (*tail_call)(void *ctx, u64 map, u32 index) = (void *)BPF_FUNC_tail_call;
static long (*ring_output)(u64 ring, void *data, u64 size, u64 flags) =
	(void *)BPF_FUNC_ringbuf_output;

static void *(*ring_reserve)(u64 ring, u64 size, u64 flags) = (void *)BPF_FUNC_ringbuf_reserve;
static void (*ring_discard)(void *room, u64 flags) = (void *)BPF_FUNC_ringbuf_discard;
static u64 (*ring_query)(u64 ring, u64 flags) = (void *)BPF_FUNC_ringbuf_query;

#define BPF_RB_AVAIL_DATA 0
#define BPF_RB_RING_SIZE 1
#define BPF_RB_NO_WAKEUP 1
#define BPF_RB_FORCE_WAKEUP 2

static __always_inline void run_step(void *ctx, u32 step)
{
	tail_call(ctx, MAP_STEPS, step);
}

static __always_inline void count_reason(u32 reason)
{
	u64 *value = map_lookup(MAP_REASONS, &reason);

	if (value)
		*value += 1;
}

/* An event for which the ring had no room. */
static __always_inline void count_drop(u32 code)
{
	struct event_counters *count = map_lookup(MAP_COUNTERS, &code);

	if (count)
		count->dropped += 1;
	count_reason(REASON_RING_FULL);
}
