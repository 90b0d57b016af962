/* SPDX-License-Identifier: Apache-2.0 */
/* Open files: from descriptor to struct file, and the facts of its inode. */
#pragma once

#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define S_IFREG 0100000
#define S_IFBLK 0060000
#define S_IFDIR 0040000
#define S_IFCHR 0020000
#define S_IFIFO 0010000
#define OVERLAYFS_MAGIC 0x794c7630
#define PID_FS_MAGIC 0x50494446 /* where descriptors of processes are since 6.9 */
#define FMODE_CREATED 0x100000

/* struct file behind a descriptor of the task; 0 when it is closed. */
static __always_inline u64 file_of(u64 task, s32 fd)
{
	u64 fdt = read_u64(read_u64(task + OFF_TASK_FILES) + OFF_FILES_FDT);
	u32 max;
	u64 files;
#if OFF_FDTABLE_FD == OFF_FDTABLE_MAX + 8
	u64 head[2];

	read_kernel(head, sizeof(head), fdt + OFF_FDTABLE_MAX);
	max = head[0];
	files = head[1];
#else
	max = read_u32(fdt + OFF_FDTABLE_MAX);
	files = read_u64(fdt + OFF_FDTABLE_FD);
#endif
	if (fd < 0 || (u32)fd >= max)
		return 0;
	return read_u64(files + 8 * (u64)(u32)fd);
}

/* OPEN_UPPER_LAYER or OPEN_LOWER_LAYER for a file on overlayfs, else 0. The overlay keeps the
 * upper dentry right behind its embedded inode. */
static __always_inline u32 overlay_layer_on(u64 inode, u64 super_block)
{
	u64 upper;

	if (read_u64(super_block + OFF_SB_MAGIC) != OVERLAYFS_MAGIC)
		return 0;
	upper = read_u64(inode + SIZEOF_INODE);
	if (upper && read_u64(read_u64(upper + OFF_DENTRY_INODE) + OFF_INODE_INO))
		return OPEN_UPPER_LAYER;
	return OPEN_LOWER_LAYER;
}

static __always_inline u32 overlay_layer(u64 inode)
{
	return overlay_layer_on(inode, read_u64(inode + OFF_INODE_SB));
}

/* Of a file: before 6.9 the descriptor of a process was an anonymous inode. */
static __always_inline bool is_pidfd(u64 inode)
{
	return read_u64(read_u64(inode + OFF_INODE_SB) + OFF_SB_MAGIC) == PID_FS_MAGIC;
}

static __always_inline u32 device_of(u64 inode)
{
	return device_number(read_u32(read_u64(inode + OFF_INODE_SB) + OFF_SB_DEV));
}
