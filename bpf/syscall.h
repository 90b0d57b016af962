/* SPDX-License-Identifier: Apache-2.0 */
/* System call number and arguments from the registers that were saved at entry. */
#pragma once

#if defined(__x86_64__)
#define TS_COMPAT 0x0002
#define USER_CS 0x33 /* code segment of 64-bit code */
#define USER32_CS 0x23

static __always_inline s64 syscall_number(u64 regs)
{
	return read_u64(regs + offsetof(struct pt_regs, orig_ax));
}

static __always_inline void save_args(struct scratch *s, u64 regs)
{
	u64 saved[8]; /* r10 r9 r8 ax cx dx si di */

	read_kernel(saved, sizeof(saved), regs + offsetof(struct pt_regs, r10));
	s->args[0] = saved[7];
	s->args[1] = saved[6];
	s->args[2] = saved[5];
	s->args[3] = saved[0];
	s->args[4] = saved[2];
	s->args[5] = saved[1];
}

static __always_inline bool is_32bit_call(u64 task)
{
#ifdef OFF_TASK_THREAD_STATUS
	return read_u32(task + OFF_TASK_THREAD_STATUS) & TS_COMPAT;
#else
	return false;
#endif
}
#elif defined(__aarch64__)
#define TIF_32BIT 22

static __always_inline s64 syscall_number(u64 regs)
{
	return (s32)read_u32(regs + offsetof(struct pt_regs, syscallno));
}

static __always_inline void save_args(struct scratch *s, u64 regs)
{
	read_kernel(s->args, 6 * 8, regs);
	/* regs[0] holds the result by now. */
	s->args[0] = read_u64(regs + offsetof(struct pt_regs, orig_x0));
}

static __always_inline bool is_32bit_call(u64 task)
{
	return read_u64(task + OFF_TASK_THREAD_FLAGS) >> TIF_32BIT & 1;
}
#endif
