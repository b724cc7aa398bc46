/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * snapshot-check --config: could the domain be started from an xl.cfg without
 * harm to a snapshot?  Only reads.
 */
#ifndef XL_CHECK_CONFIG_H
#define XL_CHECK_CONFIG_H

#include "options.h"

/* Prints the answer; an exit status. */
int xl_check_config(const struct xl_request *rq);

#endif
