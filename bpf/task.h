/* SPDX-License-Identifier: Apache-2.0 */
/* Facts of a task: ids, credentials, terminal, memory. */
#pragma once

#define PIDTYPE_PGID 2
#define PIDTYPE_SID 3
#define PF_EXITING 0x00000004
#define PF_KTHREAD 0x00200000
#define RLIMIT_NOFILE 7
#define MM_FILEPAGES 0
#define MM_ANONPAGES 1
#define MM_SWAPENTS 2
#define MM_SHMEMPAGES 3

/* Number of a struct pid at a level of pid namespaces; 0 where it has none. */
static __always_inline u32 pid_number(u64 pid, u32 level)
{
	if (read_u32(pid + OFF_PID_LEVEL) < level)
		return 0;
	return read_u32(pid + OFF_PID_NUMBERS + (u64)level * SIZEOF_UPID);
}

static __always_inline u32 pidns_level(u64 task)
{
	return read_u32(read_u64(task + OFF_TASK_THREAD_PID) + OFF_PID_LEVEL);
}

/* The pid namespace that the task itself is numbered in. */
static __always_inline u64 pidns_of(u64 task)
{
	u64 pid = read_u64(task + OFF_TASK_THREAD_PID);
	u64 level = read_u32(pid + OFF_PID_LEVEL);

	return read_u64(pid + OFF_PID_NUMBERS + level * SIZEOF_UPID + OFF_UPID_NS);
}

static __always_inline u32 tty_of(u64 signal)
{
	u64 tty = read_u64(signal + OFF_SIGNAL_TTY);
	u64 driver;
	u32 major, minor;

	if (!tty)
		return 0;
	driver = read_u64(tty + OFF_TTY_DRIVER);
	major = read_u32(driver + OFF_TTY_DRIVER_MAJOR);
	minor = read_u32(driver + OFF_TTY_DRIVER_MINOR_START) + read_u32(tty + OFF_TTY_INDEX);
	return (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
}

/* The kernel's own device number (12 bits major, 20 bits minor) as stat(2) shows it. */
static __always_inline u32 device_number(u32 dev)
{
	u32 major = dev >> 20, minor = dev & 0xfffff;

	return (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
}

static __always_inline u32 loginuid_of(u64 task)
{
#ifdef OFF_TASK_LOGINUID
	return read_u32(task + OFF_TASK_LOGINUID);
#else
	return 0xffffffff;
#endif
}

/* Pages of one kind that the address space holds; per-CPU remainders are left out. */
static __always_inline s64 mm_pages(u64 mm, u32 kind)
{
	s64 pages = read_u64(mm + OFF_MM_RSS_STAT + kind * RSS_STRIDE + OFF_RSS_COUNT);

	return pages > 0 ? pages : 0;
}

struct memory_use {
	u32 size; /* kB, as the others */
	u32 resident;
	u32 swapped;
};

static __always_inline void read_memory_use(struct memory_use *use, u64 task)
{
	u64 mm = read_u64(task + OFF_TASK_MM), size = 0, resident = 0, swapped = 0;

	if (mm) {
		size = read_u64(mm + OFF_MM_TOTAL_VM);
		resident = mm_pages(mm, MM_FILEPAGES) + mm_pages(mm, MM_ANONPAGES) +
			   mm_pages(mm, MM_SHMEMPAGES);
		swapped = mm_pages(mm, MM_SWAPENTS);
	}
	use->size = size * (PAGE_SIZE / 1024);
	use->resident = resident * (PAGE_SIZE / 1024);
	use->swapped = swapped * (PAGE_SIZE / 1024);
}
