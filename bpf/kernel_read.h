/* SPDX-License-Identifier: Apache-2.0 */
/* Reading kernel and user memory. Kernel pointers are plain u64 here: bcc rewrites pointer
 * dereferences that it takes for kernel ones, and would guess wrong for ours.
 *
 * The helpers get names of our own, because bcc replaces calls of bpf_probe_read_user by what it
 * thinks fits the kernel after reading all of /proc/kallsyms. */
#pragma once

static long (*read_kernel)(void *to, u32 size, u64 from) = (void *)BPF_FUNC_probe_read_kernel;
static long (*read_user)(void *to, u32 size, u64 from) = (void *)BPF_FUNC_probe_read_user;
static long (*read_kernel_str)(void *to, u32 size, u64 from) =
	(void *)BPF_FUNC_probe_read_kernel_str;
static long (*read_user_str)(void *to, u32 size, u64 from) =
	(void *)BPF_FUNC_probe_read_user_str;

/* The helper fills what it cannot read with zeros, so a broken chain of pointers reads as 0. */
static __always_inline u64 read_u64(u64 from)
{
	u64 value;

	read_kernel(&value, sizeof(value), from);
	return value;
}

static __always_inline u32 read_u32(u64 from)
{
	u32 value;

	read_kernel(&value, sizeof(value), from);
	return value;
}

static __always_inline u16 read_u16(u64 from)
{
	u16 value;

	read_kernel(&value, sizeof(value), from);
	return value;
}

static __always_inline u8 read_u8(u64 from)
{
	u8 value;

	read_kernel(&value, sizeof(value), from);
	return value;
}
