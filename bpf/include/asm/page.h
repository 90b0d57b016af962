/* SPDX-License-Identifier: Apache-2.0 */
/* Header shim: bcc counts ring buffer sizes in pages. The real size is given on the command line,
 * as aarch64 kernels may have pages of 16 or 64 KiB. */
#pragma once
#ifndef PAGE_SIZE
#define PAGE_SIZE 4096
#endif
