/* SPDX-License-Identifier: Apache-2.0 */
/* Header shim: bcc brings its own copy of the BPF interface and includes it before this one. */
#pragma once
#include <linux/types.h>
