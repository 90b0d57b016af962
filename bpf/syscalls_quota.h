/* SPDX-License-Identifier: Apache-2.0 */
/* quotactl: what its fourth argument points to depends on the command. */
#pragma once

#define Q_QUOTAON 0x800002
#define Q_GETFMT 0x800004
#define Q_GETINFO 0x800005
#define Q_SETINFO 0x800006
#define Q_GETQUOTA 0x800007
#define Q_SETQUOTA 0x800008
#define Q_XGETQUOTA 0x5803
#define Q_XSETQLIM 0x5804

/* struct if_dqblk: limits and use of blocks and inodes, times of grace. */
#define DQBLK_WORDS 8

int step_quotactl(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s = this_scratch();
	u64 block[DQBLK_WORDS] = {}, info[3] = {}, at;
	u32 command, format = 0;
	struct writer w;

	if (!s)
		return 0;
	w = start_writer(s, 0);
	command = (u32)s->args[0] >> 8;
	at = s->args[3];
	put_u64(&w, s->ret);
	put_user_string(&w, s->args[1]);
	put_user_string(&w, command == Q_QUOTAON ? at : 0);
	forget_position(&w);
	if (s->ret >= 0 && (command == Q_GETQUOTA || command == Q_SETQUOTA))
		read_user(block, sizeof(block), at);
	if (s->ret >= 0 && (command == Q_GETINFO || command == Q_SETINFO))
		read_user(info, sizeof(info), at);
	if (s->ret >= 0 && command == Q_GETFMT)
		read_user(&format, sizeof(format), at);
	for (u32 i = 0; i < DQBLK_WORDS; i++) {
		if (i != 5) /* inodes in use are not shown */
			put_u64(&w, block[i]);
	}
	put_u64(&w, info[0]);
	put_u64(&w, info[1]);
	put_u32(&w, (u32)info[2]);
	put_u32(&w, format);
	put_u32(&w, s->args[0]);
	put_u32(&w, s->args[0] & 0xff);
	put_u32(&w, command == Q_GETQUOTA || command == Q_SETQUOTA || command == Q_XGETQUOTA ||
			    command == Q_XSETQLIM ? s->args[2] : 0);
	put_u32(&w, command == Q_QUOTAON ? s->args[2] : 0);
	return end_record(ctx, &w);
}
