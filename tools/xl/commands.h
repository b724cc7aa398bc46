/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * One function a command: takes a checked request, calls the library, prints
 * the result, returns the exit status.  Called through the command table.
 */
#ifndef XL_COMMANDS_H
#define XL_COMMANDS_H

struct xl_request;

int xl_snapshot_create(struct xl_request *rq);
int xl_snapshot_revert(struct xl_request *rq);
int xl_snapshot_list(struct xl_request *rq);
int xl_snapshot_info(struct xl_request *rq);
int xl_snapshot_delete(struct xl_request *rq);
int xl_snapshot_check(struct xl_request *rq);
int xl_snapshot_verify(struct xl_request *rq);
int xl_snapshot_recover(struct xl_request *rq);
int xl_snapshot_adopt(struct xl_request *rq);

/*
 * Run one command line whose argv[0] is the command's name: parse, --help,
 * the test for root, run, see that standard output took the result. Returns
 * the exit status.
 */
int xl_run_command(const char *program, const char *globals,
                   const char *name, int argc, char **argv);

#endif
