/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
#ifndef PENSTOCK_SPLICE_CONSTS_H
#define PENSTOCK_SPLICE_CONSTS_H

/* Two of each relay. 64 bytes of buckets each, and what is in them only when it is: 1 MiB. */
#define SOCKETS_MAX 32768

/*
 * What may be on its way to a peer and not acknowledged: what is above goes by the process, which stops reading when it
 * can't write. The kernel itself knows no bound here and would take gigabytes for a reader that stands still.
 */
#define BACKLOG_MAX (1024 * 1024)

/* The helper takes off 4095 bytes at a time, and a segment that was put together has at most half a megabyte. */
#define CUT_BYTES_MAX 4095
#define CUTS_MAX 130

/* Indices of splice_counters. */
#define COUNT_REDIRECTED_BYTES 0
#define COUNT_PASSED_BYTES 1
/* That the peer had sent, and we had, before. */
#define COUNT_REPEATED_BYTES 2
/* Times that a slow reader sent a stream back to the process. */
#define COUNT_BACKLOGS 3
#define COUNTERS_MAX 4

#endif
