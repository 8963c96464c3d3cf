/* SPDX-License-Identifier: MIT */
/*
 * The loops that measure: each asks a question of the shim over and over, with
 * nothing of Python in between. Read by the C compiler and by build_ffi.py,
 * like kvmppc.h.
 *
 * The question is check_extension of capability 250 where the revision is
 * KVMPPC_REVISION_NONE, and get_compat_caps of the revision where it is not.
 */
#ifndef KVMPPC_BENCH_H
#define KVMPPC_BENCH_H

#include <stdint.h>

/* cdef begins */
#define KVMPPC_BENCH_BUCKETS 2240

struct kvmppc_bench {
	int error;                    /* 0 or the negative errno of the call that ended the loop */
	uint64_t calls;               /* that were answered */
	uint64_t nanoseconds;         /* from before the first call to after the last */
	uint64_t longest;             /* of the calls timed one by one, nanoseconds */
	uint64_t counts[KVMPPC_BENCH_BUCKETS];
};

struct kvmppc_bench kvmppc_bench_timed(int fd, int revision, uint64_t calls, uint64_t nanoseconds);
struct kvmppc_bench kvmppc_bench_floor(int fd, int revision, uint64_t calls);
uint64_t kvmppc_bench_start(unsigned int bucket);
/* cdef ends */

#endif
