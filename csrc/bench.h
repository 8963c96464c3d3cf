/* SPDX-License-Identifier: MIT */
/*
 * Loops for measurements: each repeats one call of the shim without any Python
 * in between. Both the C compiler and build_ffi.py read this file, like
 * kvmppc.h.
 *
 * If the revision is KVMPPC_REVISION_NONE, the call is check_extension of
 * capability 250; otherwise it is get_compat_caps of that revision.
 */
#ifndef KVMPPC_BENCH_H
#define KVMPPC_BENCH_H

#include <stdint.h>

/* cdef begins */
#define KVMPPC_BENCH_BUCKETS 2240

struct kvmppc_bench {
	int error;                    /* 0 or the negative errno of the call that ended the loop */
	uint64_t calls;               /* successful calls */
	uint64_t nanoseconds;         /* from before the first call to after the last */
	uint64_t longest;             /* the longest single call, in nanoseconds */
	uint64_t counts[KVMPPC_BENCH_BUCKETS];
};

struct kvmppc_bench kvmppc_bench_timed(int fd, int revision, uint64_t calls, uint64_t nanoseconds);
struct kvmppc_bench kvmppc_bench_floor(int fd, int revision, uint64_t calls);
uint64_t kvmppc_bench_start(unsigned int bucket);
/* cdef ends */

#endif
