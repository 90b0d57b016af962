/* SPDX-License-Identifier: Apache-2.0 */
/* Layout of a ring buffer record and of the scratch memory in which it is built.
 *
 * A record is: struct record_header, u16 length of each parameter, the parameter bytes back to
 * back, then attachments (u16 kind, u16 length, bytes). exporter/sources/probe/record.py holds the
 * same layout for the reader; a test compares the two.
 */
#pragma once

struct record_header {
	u64 ts_ns; /* monotonic clock */
	u32 record_len;
	u16 event_code;
	u16 nparams;
	u32 tid;
	u32 pid;
	u32 ptid;
	u32 vtid;
	u32 vpid;
	u32 uid;
	u32 gid;
	u32 loginuid;
	u32 sid;
	u32 pgid;
	u32 vpgid;
	u32 tty;
	u32 mntns;
	u16 cpu;
	u16 flags; /* RECORD_* */
	u64 start_boottime_ns;
	u64 cgroup_id;
	u8 comm[16];
	u16 pidns_level;
	u16 attachments_len;
	u32 ppid;
} __attribute__((packed));

#define RECORD_TRUNCATED_ARGS (1 << 0)
#define RECORD_TRUNCATED_ENV (1 << 1)
#define RECORD_TRUNCATED_PATH (1 << 2)
#define RECORD_TRUNCATED_CGROUPS (1 << 3)
#define RECORD_STATE_ONLY (1 << 4) /* no rule can match it */
#define RECORD_TRUNCATED 0xf /* any of the first four */

/* Attachment kinds. */
#define ATTACH_CWD 1
#define ATTACH_DIRFD 2
#define ATTACH_DIRFD2 3
#define ATTACH_FD 4
#define ATTACH_CGROUP 5

/* Kinds of descriptor in an ATTACH_FD entry: numbers of the capture format's fd list. */
#define FD_UNKNOWN 0
#define FD_DIRECTORY 2
#define FD_IPV4 3
#define FD_IPV6 4
#define FD_IPV4_LISTEN 5
#define FD_IPV6_LISTEN 6
#define FD_PIPE 7
#define FD_UNIX 8
#define FD_UNSUPPORTED 10
#define FD_NETLINK 15
#define FD_FILE_V2 16
#define FD_PIDFD 21

/* Facts that the probe adds to a word of native open flags; user bits up there are masked off. */
#define OPEN_NATIVE_MASK 0x1fffffff
#define OPEN_CREATED (1u << 29)
#define OPEN_UPPER_LAYER (1u << 30)
#define OPEN_LOWER_LAYER (1u << 31)

/* The same for clone flags: the exit signal's byte makes room. */
#define CLONE_CHILD_IN_PIDNS 1u

/* What a filter of execs and ends of threads looks at (judge.h): facts of the finished record, each
 * where exporter/pushdown/emit_hook.py says. A text has its length, or JUDGED_UNKNOWN, in front and
 * NULs behind. */
#define JUDGED_TEXT_BYTES 512
#define JUDGED_UNKNOWN 0xffff

struct judged_text {
	u64 length;
	u8 text[JUDGED_TEXT_BYTES + 24];
};

struct judged {
	u64 uid;
	u64 gid;
	u64 loginuid;
	u64 tty;
	u64 vpid;
	u64 mntns;
	u64 exe_flags;
	u64 found_env; /* which of the needles are there; found: by text, as the texts below */
	u64 found[8];
	struct judged_text comm;
	struct judged_text exe;
	struct judged_text exepath;
	struct judged_text args;
	struct judged_text command_line;
	struct judged_text parent;
};

/* Texts that rules look for (exporter/pushdown/needles.py). A table has a bit a needle, set for each
 * byte that may stand at a place behind its start; a place beyond its end allows all. */
struct needles {
	u64 texts[8][256];
	u64 env[8][256];
	u32 wanted; /* bit: a text of struct judged to search */
	u32 env_stride; /* only every so many places of the environment are looked at; 0: none */
};

#define STRING_MAX 4096
#define RECORD_MASK 0x7fff
#define MAX_ATTACH 4

/* What a close that is under way closes: an attachment as in the record to come. */
struct closing {
	u32 len;
	u32 flags; /* RECORD_* */
	u8 attachment[CLOSING_BYTES - 8];
};

/* Kinds of what was closed, as far as filters tell them apart. */
#define CLOSED_NONE 0
#define CLOSED_FILE 1
#define CLOSED_DIRECTORY 2
#define CLOSED_PIPE 3
#define CLOSED_IPV4 4
#define CLOSED_IPV6 5
#define CLOSED_UNIX 6
#define CLOSED_NAMELESS 7 /* an anonymous inode, or a socket of another family */
#define CLOSED_OTHER 8

/* What take_closed took over for the record to come; filters of close look at it. */
struct closed {
	u32 len; /* of the attachment, or 0 */
	u32 flags; /* RECORD_* */
	u32 kind; /* CLOSED_* */
	u32 name_at; /* in the attachment, of files and directories */
	u32 name_len;
	u32 padding;
	u8 attachment[CLOSING_BYTES - 8];
};

/* One per CPU. `data` is larger than RECORD_MASK by the longest single write, so that a masked
 * offset is always inside, whatever the verifier believes about it. */
struct scratch {
	u8 data[RECORD_MASK + 1 + STRING_MAX];
	u8 path[STRING_MAX + 256];
	u64 args[8]; /* the system call's arguments; 6 are used */
	s64 ret;
	u64 ops;
	u64 task;
	u64 aux; /* hook argument: linux_binprm, or the failed exec's vector */
	u32 busy;
	u32 off;
	u32 code;
	u32 nparams;
	u32 next; /* index into `steps` for programs that are used by several events */
	u32 flags;
	u32 natt;
	u32 att_done;
	s32 att_fd[MAX_ATTACH];
	u32 att_kind[MAX_ATTACH];
	u32 params_end;
	u32 path_pos;
	u32 path_len;
	u32 after_path; /* step to run behind STEP_PATH */
	u64 path_at; /* struct path to walk */
	u64 att_start;
	u64 att_file;
	u64 kn[16]; /* directories of a cgroup, the innermost first */
	u64 slot;
	u64 depth;
	u64 messages; /* still to come with the call (syscalls_messages.h) */
	u64 message; /* index of the one that is written */
	u64 kept_len;
	u8 kept[256]; /* attachments of the first message */
	u32 scan; /* text that is searched next */
	u32 renames; /* of the record's thread, not told to user space yet; 0: none */
	u32 judge; /* the filter that the finished record goes through, or 0 */
	u32 args_at;
	u32 env_at;
	u32 exepath_at;
	u32 exe_flags;
	u32 tells_cgroup; /* whether the record says in which cgroup v2 directory the task is */
	struct closed closed; /* at CLOSED_AT, the end */
};

_Static_assert(sizeof(struct scratch) <= SCRATCH_BYTES, "user space sizes the map");
_Static_assert(__builtin_offsetof(struct scratch, closed) == CLOSED_AT, "filters look there");
_Static_assert(sizeof(struct judged) <= JUDGED_BYTES, "user space sizes the map");
