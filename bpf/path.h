/* SPDX-License-Identifier: Apache-2.0 */
/* Path of a dentry within a mount, walked up to the global root of its mount namespace: not
 * stopped by a chroot, without a " (deleted)" mark. At most MAX_COMPONENTS names and mounts. */
#pragma once

#define MAX_COMPONENTS 96

struct dentry_head {
	u64 parent;
	u32 hash;
	u32 len;
	u64 name;
};

static __always_inline void read_dentry(struct dentry_head *head, u64 dentry)
{
#if OFF_DENTRY_NAME == OFF_DENTRY_PARENT + 8 && OFF_QSTR_LEN == 4 && OFF_QSTR_NAME == 8
	read_kernel(head, sizeof(*head), dentry + OFF_DENTRY_PARENT);
#else
	head->parent = read_u64(dentry + OFF_DENTRY_PARENT);
	head->len = read_u32(dentry + OFF_DENTRY_NAME + OFF_QSTR_LEN);
	head->name = read_u64(dentry + OFF_DENTRY_NAME + OFF_QSTR_NAME);
#endif
}

/* Writes the path, without a NUL, at the tail of the record and returns its length; moves no
 * offset. A nameless root gives "/"; a file outside any tree (memfd, anonymous inode) its bare
 * name. */
static __always_inline u32 append_path(struct scratch *s, u64 dentry, u64 vfsmount)
{
	struct writer w = start_writer(s, 0);
	struct dentry_head head;
	u64 mount = vfsmount - OFF_MOUNT_MNT;
	u64 mount_root = read_u64(vfsmount + OFF_VFSMOUNT_ROOT);
	u64 at, len;

	read_dentry(&head, dentry);
	if (head.parent == dentry && head.len && read_u8(head.name) != '/') {
		len = head.len;
		BOUND(len, 0xff);
		read_kernel(tail_of(&w), len, head.name);
		return len;
	}
	/* The position is kept in memory, where the verifier does not follow its value: in a register
	 * each way through the loop would be a state of its own. */
	s->path_pos = STRING_MAX;
	for (int i = 0; i < MAX_COMPONENTS; i++) {
		if (dentry == mount_root || dentry == head.parent) {
			u64 parent = read_u64(mount + OFF_MOUNT_PARENT);

			if (parent == mount || dentry != mount_root)
				goto done;
			dentry = read_u64(mount + OFF_MOUNT_MOUNTPOINT);
			mount = parent;
			mount_root = read_u64(mount + OFF_MOUNT_MNT + OFF_VFSMOUNT_ROOT);
		} else {
			len = head.len;
			BOUND(len, 0xff);
			at = s->path_pos;
			if (at < len + 1)
				break;
			at -= len + 1;
			s->path_pos = at;
			BOUND(at, 0xfff);
			s->path[at] = '/';
			/* The verifier of 6.12 forgets the bound when `len + 1` is compared. */
			BOUND(len, 0xff);
			read_kernel(s->path + at + 1, len, head.name);
			dentry = head.parent;
		}
		read_dentry(&head, dentry);
	}
	s->flags |= RECORD_TRUNCATED_PATH;
done:
	at = s->path_pos;
	if (at == STRING_MAX) {
		*tail_of(&w) = '/';
		return 1;
	}
	BOUND(at, 0xfff);
	len = STRING_MAX - at;
	BOUND(len, 0xfff);
	read_kernel(tail_of(&w), len, (u64)(s->path + at));
	return len;
}

/* Path at s->path_at, behind the record's tail; its length goes to s->path_len. The walk is a step
 * of its own because it is the longest piece of code and the slowest to verify. */
int step_path(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	u64 path[2]; /* mount and dentry: struct path has no other members */

	if (!s)
		return 0;
	read_kernel(path, sizeof(path), s->path_at);
	s->path_len = append_path(s, path[OFF_PATH_DENTRY / 8], path[OFF_PATH_MNT / 8]);
	run_step(ctx, s->after_path);
	return lost_step(s);
}
