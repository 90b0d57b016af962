/* SPDX-License-Identifier: Apache-2.0 */
/* Header shim: the registers saved at system call entry, in the kernel's order (user ABI:
 * ptrace(2), PTRACE_GETREGS and NT_PRSTATUS). */
#pragma once
#include <linux/types.h>

#if defined(__x86_64__)
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx;
	unsigned long r11, r10, r9, r8;
	unsigned long ax, cx, dx, si, di;
	unsigned long orig_ax;
	unsigned long ip, cs, flags, sp, ss;
};
#elif defined(__aarch64__)
struct user_pt_regs {
	__u64 regs[31];
	__u64 sp, pc, pstate;
};
struct pt_regs {
	__u64 regs[31];
	__u64 sp, pc, pstate;
	__u64 orig_x0;
	__s32 syscallno;
	__u32 unused2;
};
#endif
