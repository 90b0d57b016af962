/* SPDX-License-Identifier: Apache-2.0 */
/* Header shim: bcc includes this file; the probe looks at no packets. */
#pragma once
