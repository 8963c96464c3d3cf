/* SPDX-License-Identifier: MIT */
/*
 * Measures the shim from C: how long each call takes, and how many fit into a
 * second where no clock is looked at in between. Results come back by value, so
 * that loops in many threads share nothing.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* clock_gettime under -std=c11 */
#endif
#include <time.h>

#include "kvm_uapi.h"
#include "kvmppc.h"
#include "bench.h"

/*
 * Buckets of the histogram: one for each nanosecond up to 127, then 64 for each
 * doubling, so that none is wider than 1/64 of where it starts. The last one
 * starts at 18 minutes and takes all that is longer.
 */
#define SUB_BITS 6
#define SUB (1U << SUB_BITS)

_Static_assert(KVMPPC_BENCH_BUCKETS % SUB == 0, "whole doublings");

/* The shortest time, in nanoseconds, that is counted in a bucket. */
uint64_t kvmppc_bench_start(unsigned int bucket)
{
	unsigned int shift;

	if (bucket < 2 * SUB)
		return bucket;
	shift = bucket / SUB - 1;
	return (uint64_t)(bucket - shift * SUB) << shift;
}

/* The bucket that a time is counted in. */
static unsigned int bucket_of(uint64_t nanoseconds)
{
	unsigned int shift = 63 - SUB_BITS - (unsigned int)__builtin_clzll(nanoseconds | SUB);
	unsigned int bucket = shift * SUB + (unsigned int)(nanoseconds >> shift);
	return bucket < KVMPPC_BENCH_BUCKETS ? bucket : KVMPPC_BENCH_BUCKETS - 1;
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

/* Asks once; 0, or the negative errno of a refusal. What the answer is does not matter here. */
static int ask(int fd, int revision)
{
	int result;

	if (revision != KVMPPC_REVISION_NONE)
		return kvmppc_get_plain(fd, revision) >= 0 ? 0 : kvmppc_get_compat_caps(fd, revision).error;
	result = kvmppc_check_extension(fd, KVMPPC_CAP_LINUX_7_3);
	return result < 0 ? result : 0;
}

/*
 * Asks up to a number of times or up to a time, whichever is less, and looks at
 * the clock before and after each call. What a clock costs is in each time.
 */
struct kvmppc_bench kvmppc_bench_timed(int fd, int revision, uint64_t calls, uint64_t nanoseconds)
{
	struct kvmppc_bench bench = {0};
	uint64_t start = now();

	while (bench.calls < calls && bench.nanoseconds < nanoseconds) {
		uint64_t before = now();
		uint64_t after;

		bench.error = ask(fd, revision);
		after = now();
		if (bench.error != 0)
			break;
		bench.calls++;
		bench.counts[bucket_of(after - before)]++;
		if (after - before > bench.longest)
			bench.longest = after - before;
		bench.nanoseconds = after - start;
	}
	return bench;
}

/* Asks a number of times and looks at the clock only before and after them all: the floor. */
struct kvmppc_bench kvmppc_bench_floor(int fd, int revision, uint64_t calls)
{
	struct kvmppc_bench bench = {0};
	uint64_t start = now();

	while (bench.calls < calls && bench.error == 0) {
		bench.error = ask(fd, revision);
		bench.calls += bench.error == 0;
	}
	bench.nanoseconds = now() - start;
	return bench;
}
