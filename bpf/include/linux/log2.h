/* SPDX-License-Identifier: Apache-2.0 */
/* Header shim: bcc's histogram helpers include this file but bring their own logarithm. */
#pragma once
