/* SPDX-License-Identifier: Apache-2.0 */
/* Header shim: bcc force-includes this file ahead of everything else and refuses to compile
 * unless it says that the kernel has the bpf system call. Nothing else of the kernel's
 * configuration is needed: struct offsets come from the running kernel's BTF. */
#pragma once
#define CONFIG_BPF_SYSCALL 1
