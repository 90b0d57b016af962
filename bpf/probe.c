/* SPDX-License-Identifier: Apache-2.0 */
/* The probe: four raw tracepoints. Each decides as early as it can whether the event is wanted,
 * then jumps into the steps that write its record.
 *
 * In front of this file come the constants made for the running kernel (offsets.py) and for this
 * probe (source_text.py): OFF_*, CODE_*, SCRATCH_BYTES, and PART: the programs are
 * compiled in two halves at the same time, because LLVM needs a quarter of a millisecond for every
 * instruction that comes out.
 */
#include <linux/types.h>
#include <uapi/linux/ptrace.h>

/* A program cannot call functions here: bcc loads each function by itself. */
#define __always_inline inline __attribute__((always_inline))

#ifndef offsetof
#define offsetof(type, member) __builtin_offsetof(type, member)
#endif

#include "layout.h"
#include "kernel_read.h"
#include "maps.h"
#include "rename.h"
#include "record.h"
#include "beat.h"
#include "scope.h"
#include "task.h"
#include "file.h"
#include "socket.h"
#include "path_step.h"
#include "syscall.h"

#if PART == 1
#include "syscalls_generic.h"
#include "syscalls_open.h"
#include "syscalls_socket.h"
#include "syscalls_io.h"
#include "syscalls_messages.h"
#include "syscalls_poll.h"
#include "syscalls_ptrace.h"
#include "syscalls_special.h"
#include "syscalls_quota.h"
#include "syscalls_sockopt.h"
#include "syscalls_close.h"
#include "hook_sys_exit.h"
#include "hook_exit.h"
#endif

#if PART == 2
#include "path.h"
#include "process.h"
#include "clone.h"
#include "exec.h"
#include "attach.h"
#include "header.h"
#include "finish.h"
#include "judge.h"
#include "hook_exec.h"
#include "hook_fork.h"
#include "hook_rename.h"
#include "hook_close.h"
#endif
