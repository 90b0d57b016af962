/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets: addresses as the kernel holds them and as the caller passed them. */
#pragma once

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define AF_NETLINK 16
#define UNIX_PATH_MAX 108
#define TCP_LISTEN 10
#define IPPROTO_UDP 17
#define SOCK_BINDPORT_LOCK 8
#define SOCK_STREAM 1
#define SOCK_RAW 3
#define IPPROTO_RAW 255

static __always_inline u64 sock_of(u64 task, s32 fd)
{
	u64 file = file_of(task, fd);

	if (!file)
		return 0;
	if ((read_u16(read_u64(file + OFF_FILE_INODE) + OFF_INODE_MODE) & S_IFMT) != S_IFSOCK)
		return 0;
	return read_u64(read_u64(file + OFF_FILE_PRIVATE) + OFF_SOCKET_SK);
}

static __always_inline u16 swap16(u16 value)
{
	return (u16)(value << 8 | value >> 8);
}

static __always_inline u16 local_port(u64 sk)
{
	return read_u16(sk + OFF_SOCK_NUM);
}

static __always_inline u16 remote_port(u64 sk)
{
	return swap16(read_u16(sk + OFF_SOCK_DPORT));
}

/* Number of the transport protocol; that of raw sockets is IPPROTO_RAW, whatever they carry. */
static __always_inline u16 protocol_of(u64 sk)
{
	if (read_u16(sk + OFF_SOCK_TYPE) == SOCK_RAW)
		return IPPROTO_RAW;
	return read_u16(sk + OFF_SOCK_PROTOCOL);
}

/* A datagram socket that the program has bound to a port, and that has no peer: a server's. */
static __always_inline bool waits_for_datagrams(u64 sk)
{
#ifdef OFF_SOCK_USERLOCKS
	return read_u16(sk + OFF_SOCK_PROTOCOL) == IPPROTO_UDP && !read_u16(sk + OFF_SOCK_DPORT) &&
	       read_u8(sk + OFF_SOCK_USERLOCKS) & SOCK_BINDPORT_LOCK * BIT_SOCK_USERLOCKS;
#else
	return false;
#endif
}

/* Appends the path of a bound unix socket with its NUL; returns the number of bytes (>= 1). The
 * leading NUL of an abstract name is skipped. */
static __always_inline u32 append_unix_path(u8 *to, u64 sk)
{
	u64 addr = sk ? read_u64(sk + OFF_UNIX_ADDR) : 0;
	long len = 0;

	*to = 0;
	if (addr) {
		u64 name = addr + OFF_UNIX_ADDRESS_NAME + 2;

		if (!read_u8(name) && read_u32(addr + OFF_UNIX_ADDRESS_LEN) > 3)
			name += 1;
		len = read_kernel_str(to, UNIX_PATH_MAX + 1, name);
	}
	return len > 0 ? len : 1;
}

/* The two ends of a socket as a SOCKTUPLE parameter. outgoing: local end first, else remote end
 * first. to: address given by the caller, for the remote end of sockets that the kernel keeps
 * unconnected; 0 for none. */
static __always_inline void put_tuple(struct writer *w, u64 sk, bool outgoing, u64 to)
{
	u16 family = read_u16(sk + OFF_SOCK_FAMILY);
	u8 *out = tail_of(w);
	u32 len = 0;

	out[0] = family;
	if (family == AF_INET) {
		u32 local = read_u32(sk + OFF_SOCK_SADDR), remote = read_u32(sk + OFF_SOCK_DADDR);
		u16 lport = local_port(sk), rport = remote_port(sk);

		if (!rport && to) {
			u16 port = 0;

			read_user(&port, 2, to + 2);
			rport = swap16(port);
			read_user(&remote, 4, to + 4);
		}
		*(u32 *)(out + 1) = outgoing ? local : remote;
		*(u16 *)(out + 5) = outgoing ? lport : rport;
		*(u32 *)(out + 7) = outgoing ? remote : local;
		*(u16 *)(out + 11) = outgoing ? rport : lport;
		len = 13;
	} else if (family == AF_INET6) {
		u16 lport = local_port(sk), rport = remote_port(sk);
		u8 *local = outgoing ? out + 1 : out + 19;
		u8 *remote = outgoing ? out + 19 : out + 1;

		read_kernel(local, 16, sk + OFF_SOCK_V6_SADDR);
		if (!rport && to) {
			u16 port = 0;

			read_user(&port, 2, to + 2);
			rport = swap16(port);
			read_user(remote, 16, to + 8);
		} else {
			read_kernel(remote, 16, sk + OFF_SOCK_V6_DADDR);
		}
		*(u16 *)(out + 17) = outgoing ? lport : rport;
		*(u16 *)(out + 35) = outgoing ? rport : lport;
		len = 37;
	} else if (family == AF_UNIX) {
		u64 peer = read_u64(sk + OFF_UNIX_PEER);

		*(u64 *)(out + 1) = outgoing ? peer : sk;
		*(u64 *)(out + 9) = outgoing ? sk : peer;
		len = 17 + append_unix_path(out + 17, outgoing ? peer : sk);
	}
	close_param(w, len);
}

/* The caller's sockaddr as a SOCKADDR parameter; empty when unreadable or of another family. */
static __always_inline void put_user_sockaddr(struct writer *w, u64 from, u32 size)
{
	u8 *out = tail_of(w);
	u16 family = 0, port = 0;
	u32 len = 0;

	if (size < 2 || read_user(&family, 2, from))
		family = 0;
	out[0] = family;
	if (family == AF_INET && size >= 8) {
		read_user(&port, 2, from + 2);
		if (!read_user(out + 1, 4, from + 4))
			len = 7;
		*(u16 *)(out + 5) = swap16(port);
	} else if (family == AF_INET6 && size >= 24) {
		read_user(&port, 2, from + 2);
		if (!read_user(out + 1, 16, from + 8))
			len = 19;
		*(u16 *)(out + 17) = swap16(port);
	} else if (family == AF_UNIX) {
		u64 name = from + 2;
		u8 first = 0;
		u64 room = size - 2;
		long copied = 0;

		if (size > 2)
			read_user(&first, 1, name);
		if (size > 3 && !first) {
			name += 1;
			room -= 1;
		}
		/* The name need not end in a NUL: read one byte more than it may have, then end it. */
		if (room > UNIX_PATH_MAX)
			room = UNIX_PATH_MAX;
		BOUND(room, 0x7f);
		if (room)
			copied = read_user_str(out + 1, room + 1, name);
		if (copied <= 0) {
			out[1] = 0;
			copied = 1;
		}
		len = 1 + copied;
	}
	close_param(w, len);
}
