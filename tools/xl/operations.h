/* SPDX-License-Identifier: LGPL-2.1-only */
/* Commands that work now, or that were interrupted, as the reading commands
 * show them below their results. */
#ifndef XL_OPERATIONS_H
#define XL_OPERATIONS_H

#include "format/json.h"
#include "options.h"

/* Those of one domain (NULL: of all): told on standard error, or put into
 * `json` as "operations". */
void xl_show_operations(const struct xl_request *rq, const char *domain,
                        struct snap_json *json);

#endif
