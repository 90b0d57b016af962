/* SPDX-License-Identifier: Apache-2.0 */
/* The header of a record: who did it. */
#pragma once

/* The members of task_struct that a header needs. Each read costs a call, so neighbours are read
 * together where the kernel's layout keeps them close. */
struct task_facts {
	u32 tid;
	u32 pid;
	u64 parent;
	u64 leader;
	u64 thread_pid;
	u64 cred;
	u64 nsproxy;
	u64 signal;
};

#define SPAN_BYTES 128
#define WITHIN(first, last) ((last) >= (first) && (last) + 8 - (first) <= SPAN_BYTES)
#define AT(span, type, member, first) (*(type *)((span) + (OFF_##member - OFF_##first)))

static __always_inline void read_task(struct task_facts *t, u8 *comm, u64 task)
{
#if WITHIN(OFF_TASK_PID, OFF_TASK_TGID) && WITHIN(OFF_TASK_PID, OFF_TASK_REAL_PARENT) &&           \
	WITHIN(OFF_TASK_PID, OFF_TASK_LEADER) && WITHIN(OFF_TASK_PID, OFF_TASK_THREAD_PID)
	{
		u8 span[SPAN_BYTES] __attribute__((aligned(8)));

		read_kernel(span, sizeof(span), task + OFF_TASK_PID);
		t->tid = AT(span, u32, TASK_PID, TASK_PID);
		t->pid = AT(span, u32, TASK_TGID, TASK_PID);
		t->parent = AT(span, u64, TASK_REAL_PARENT, TASK_PID);
		t->leader = AT(span, u64, TASK_LEADER, TASK_PID);
		t->thread_pid = AT(span, u64, TASK_THREAD_PID, TASK_PID);
	}
#else
	t->tid = read_u32(task + OFF_TASK_PID);
	t->pid = read_u32(task + OFF_TASK_TGID);
	t->parent = read_u64(task + OFF_TASK_REAL_PARENT);
	t->leader = read_u64(task + OFF_TASK_LEADER);
	t->thread_pid = read_u64(task + OFF_TASK_THREAD_PID);
#endif
#if WITHIN(OFF_TASK_CRED, OFF_TASK_COMM + 8) && WITHIN(OFF_TASK_CRED, OFF_TASK_NSPROXY) &&         \
	WITHIN(OFF_TASK_CRED, OFF_TASK_SIGNAL)
	{
		u8 span[SPAN_BYTES] __attribute__((aligned(8)));

		read_kernel(span, sizeof(span), task + OFF_TASK_CRED);
		t->cred = AT(span, u64, TASK_CRED, TASK_CRED);
		t->nsproxy = AT(span, u64, TASK_NSPROXY, TASK_CRED);
		t->signal = AT(span, u64, TASK_SIGNAL, TASK_CRED);
		*(u64 *)comm = AT(span, u64, TASK_COMM, TASK_CRED);
		*(u64 *)(comm + 8) = *(u64 *)(span + OFF_TASK_COMM + 8 - OFF_TASK_CRED);
	}
#else
	t->cred = read_u64(task + OFF_TASK_CRED);
	t->nsproxy = read_u64(task + OFF_TASK_NSPROXY);
	t->signal = read_u64(task + OFF_TASK_SIGNAL);
	read_kernel(comm, 16, task + OFF_TASK_COMM);
#endif
}

/* Two u32 members in one read where they are neighbours. */
static __always_inline void read_pair(u32 *first, u32 *second, u64 base, u32 at, u32 then)
{
	if (then == at + 4) {
		u64 both = read_u64(base + at);

		*first = both;
		*second = both >> 32;
	} else {
		*first = read_u32(base + at);
		*second = read_u32(base + then);
	}
}

/* Returns the directory that cgroup_id is of. */
static __always_inline u64 fill_header(struct scratch *s, struct record_header *h)
{
	struct task_facts t;
	u64 task = s->task;
	u64 pgrp_and_session[2];
	u64 cgroup, pgrp, kn;
	u32 level, first, second;

	read_task(&t, h->comm, task);
	level = read_u32(t.thread_pid + OFF_PID_LEVEL);
	read_kernel(pgrp_and_session, sizeof(pgrp_and_session),
		    t.signal + OFF_SIGNAL_PIDS + 8 * PIDTYPE_PGID);
	pgrp = pgrp_and_session[0];
	h->ts_ns = bpf_ktime_get_ns();
	h->event_code = s->code;
	h->nparams = s->nparams;
	h->tid = t.tid;
	h->pid = t.pid;
	read_pair(&first, &second, t.parent, OFF_TASK_PID, OFF_TASK_TGID);
	h->ptid = first;
	h->ppid = second;
	read_pair(&first, &second, t.cred, OFF_CRED_EUID, OFF_CRED_EGID);
	h->uid = first;
	h->gid = second;
	h->loginuid = loginuid_of(task);
	/* Every pid has a number in the initial namespace. */
	h->sid = read_u32(pgrp_and_session[1] + OFF_PID_NUMBERS);
	h->pgid = read_u32(pgrp + OFF_PID_NUMBERS);
	h->pidns_level = level;
	if (level) {
		h->vtid = pid_number(t.thread_pid, level);
		h->vpid = pid_number(read_u64(t.leader + OFF_TASK_THREAD_PID), level);
		h->vpgid = pid_number(pgrp, level);
	} else {
		h->vtid = t.tid;
		h->vpid = t.pid;
		h->vpgid = h->pgid;
	}
	h->tty = tty_of(t.signal);
	h->mntns = t.nsproxy ? read_u32(read_u64(t.nsproxy + OFF_NSPROXY_MNT) + OFF_MNTNS_INUM) : 0;
	h->cpu = bpf_get_smp_processor_id();
	h->start_boottime_ns = read_u64(t.leader + OFF_TASK_START_BOOTTIME);
	cgroup = read_u64(read_u64(task + OFF_TASK_CGROUPS) + OFF_CSS_SET_DFL);
	kn = read_u64(cgroup + OFF_CGROUP_KN);
	h->cgroup_id = read_u64(kn + OFF_KN_ID);
	return kn;
}
