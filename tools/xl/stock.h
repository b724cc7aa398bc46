/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The distribution's xl: finding it behind ourselves and handing over to it.
 */
#ifndef XL_STOCK_H
#define XL_STOCK_H

/*
 * The path of the stock xl: XL_STOCK= if set, else the first xl on PATH after
 * this program (recognised by device and inode, so that links to us are not
 * taken for it), else /usr/sbin/xl.  malloc'd; NULL with a malloc'd reason.
 */
char *xl_stock_find(const char *argv0, char **why);
/* Replace this process. Returns only when that failed: the exit status, with
 * the message printed. */
int xl_stock_exec(char **argv);
/* Run it as a child and wait. Its exit status, or 1 with a message. */
int xl_stock_run(char **argv);

#endif
