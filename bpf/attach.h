/* SPDX-License-Identifier: Apache-2.0 */
/* Attachments: paths of directories and facts of descriptors that an event is about, read from the
 * task's own tables at the time of the event. Asked for by want_attachment, written here. */
#pragma once

/* Entry of a socket: local end first, as in fd lists of captures. */
static __always_inline void append_socket_entry(struct writer *w, u64 sk)
{
	u8 *out = tail_of(w);
	u16 family = read_u16(sk + OFF_SOCK_FAMILY);
	u16 protocol = protocol_of(sk);
	bool listening = read_u8(sk + OFF_SOCK_STATE) == TCP_LISTEN || waits_for_datagrams(sk);
	u8 l4 = protocol == 6 ? 2 : protocol == 17 ? 3 : protocol == 1 || protocol == 58 ? 4 : 5;

	if (family == AF_INET && listening) {
		out[0] = FD_IPV4_LISTEN;
		*(u32 *)(out + 1) = read_u32(sk + OFF_SOCK_SADDR);
		*(u16 *)(out + 5) = local_port(sk);
		out[7] = l4;
		w->off += 8;
	} else if (family == AF_INET) {
		out[0] = FD_IPV4;
		*(u32 *)(out + 1) = read_u32(sk + OFF_SOCK_SADDR);
		*(u32 *)(out + 5) = read_u32(sk + OFF_SOCK_DADDR);
		*(u16 *)(out + 9) = local_port(sk);
		*(u16 *)(out + 11) = remote_port(sk);
		out[13] = l4;
		w->off += 14;
	} else if (family == AF_INET6 && listening) {
		out[0] = FD_IPV6_LISTEN;
		read_kernel(out + 1, 16, sk + OFF_SOCK_V6_SADDR);
		*(u16 *)(out + 17) = local_port(sk);
		out[19] = l4;
		w->off += 20;
	} else if (family == AF_INET6) {
		out[0] = FD_IPV6;
		read_kernel(out + 1, 16, sk + OFF_SOCK_V6_SADDR);
		read_kernel(out + 17, 16, sk + OFF_SOCK_V6_DADDR);
		*(u16 *)(out + 33) = local_port(sk);
		*(u16 *)(out + 35) = remote_port(sk);
		out[37] = l4;
		w->off += 38;
	} else if (family == AF_UNIX) {
		u64 peer = read_u64(sk + OFF_UNIX_PEER);
		u32 len;

		out[0] = FD_UNIX;
		*(u64 *)(out + 1) = sk;
		*(u64 *)(out + 9) = peer;
		len = append_unix_path(out + 19, sk);
		if (len == 1)
			len = append_unix_path(out + 19, peer);
		*(u16 *)(out + 17) = len - 1;
		w->off += 19 + len - 1;
	} else {
		out[0] = family == AF_NETLINK ? FD_NETLINK : FD_UNKNOWN;
		*(u16 *)(out + 1) = 0;
		w->off += family == AF_NETLINK ? 3 : 1;
	}
}

/* One attachment a run: path of a directory, or facts of a descriptor. */
int step_attach(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	u64 index, file = 0, inode;
	struct writer w;
	u32 kind, mode, type;
	s32 fd;

	if (!s)
		return 0;
	index = s->att_done;
	kind = s->att_kind[index & 3];
	fd = s->att_fd[index & 3];
	w = start_writer(s, 0);
	s->att_start = w.off;
	s->att_file = 0;
	s->path_len = 0;
	*(u32 *)tail_of(&w) = kind; /* and room for the length */
	w.off += 4;
	if (kind == ATTACH_CWD) {
		save_writer(&w);
		return walk_path(ctx, s, read_u64(s->task + OFF_TASK_FS) + OFF_FS_PWD,
				 STEP_ATTACHED);
	}
	file = file_of(s->task, fd);
	if (!file) {
		w.off -= 4;
		save_writer(&w);
		run_step(ctx, STEP_ATTACHED);
		return lost_step(s);
	}
	if (kind == ATTACH_FD) {
		inode = read_u64(file + OFF_FILE_INODE);
		mode = read_u16(inode + OFF_INODE_MODE) & S_IFMT;
		*(u64 *)tail_of(&w) = (s64)fd;
		w.off += 8;
		*(u64 *)tail_of(&w) = read_u64(inode + OFF_INODE_INO);
		w.off += 8;
		if (mode == S_IFSOCK) {
			append_socket_entry(&w, read_u64(read_u64(file + OFF_FILE_PRIVATE) +
							 OFF_SOCKET_SK));
			save_writer(&w);
			run_step(ctx, STEP_ATTACHED);
			return lost_step(s);
		}
		type = mode == S_IFDIR ? FD_DIRECTORY
		       : mode == S_IFIFO ? FD_PIPE
		       : !mode ? FD_UNSUPPORTED : is_pidfd(inode) ? FD_PIDFD : FD_FILE_V2;
		*tail_of(&w) = type;
		w.off += 1;
		if (type == FD_FILE_V2) {
			*(u32 *)tail_of(&w) = (read_u32(file + OFF_FILE_FLAGS) & OPEN_NATIVE_MASK) |
					      overlay_layer(inode);
			w.off += 4;
			s->att_file = file;
		}
		s->aux = w.off;
		w.off += 2; /* room for the length of the name */
	}
	save_writer(&w);
	return walk_path(ctx, s, file + OFF_FILE_PATH, STEP_ATTACHED);
}

/* Completes an attachment once its path is there, then goes on to the next one or to the end. */
int step_attached(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	struct writer w;
	u64 at, index;
	u32 kind;

	if (!s)
		return 0;
	index = s->att_done;
	s->att_done = index + 1;
	kind = s->att_kind[index & 3];
	w = start_writer(s, 0);
	if (w.off != s->att_start) {
		if (s->path_len && kind == ATTACH_FD) {
			at = s->aux;
			BOUND(at, 0x7fff);
			*(u16 *)(s->data + at) = s->path_len;
		}
		w.off += s->path_len;
		if (s->att_file) {
			*(u32 *)tail_of(&w) = device_of(read_u64(s->att_file + OFF_FILE_INODE));
			w.off += 4;
		}
		at = s->att_start;
		BOUND(at, 0x7fff);
		*(u16 *)(s->data + at + 2) = w.off - s->att_start - 4;
	}
	save_writer(&w);
	if (s->att_done < s->natt)
		run_step(ctx, STEP_ATTACH);
	else
		run_step(ctx, STEP_FINISH);
	return lost_step(s);
}
