/* SPDX-License-Identifier: MIT */
/*
 * Measures the shim from C: how long each call takes, and how many calls per
 * second are possible without reading the clock in between. Results are returned
 * by value, so that loops in several threads share no data.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* clock_gettime under -std=c11 */
#endif
#include <time.h>

#include "kvm_uapi.h"
#include "kvmppc.h"
#include "bench.h"

/*
 * Buckets of the histogram: one per nanosecond up to 127, then 64 per doubling,
 * so that none is wider than 1/64 of its start. The last bucket starts at 18
 * minutes and includes everything longer.
 */
#define SUB_BITS 6
#define SUB (1U << SUB_BITS)

_Static_assert(KVMPPC_BENCH_BUCKETS % SUB == 0, "whole doublings");

/* Returns the shortest time of a bucket, in nanoseconds. */
uint64_t kvmppc_bench_start(unsigned int bucket)
{
	unsigned int shift;

	if (bucket < 2 * SUB)
		return bucket;
	shift = bucket / SUB - 1;
	return (uint64_t)(bucket - shift * SUB) << shift;
}

/* Returns the bucket of a time. */
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

/* Makes one call; returns 0 or a negative errno. The answer itself is not needed. */
static int ask(int fd, int revision)
{
	int result;

	if (revision != KVMPPC_REVISION_NONE)
		return kvmppc_get_plain(fd, revision) >= 0 ? 0 : kvmppc_get_compat_caps(fd, revision).error;
	result = kvmppc_check_extension(fd, KVMPPC_CAP_LINUX_7_3);
	return result < 0 ? result : 0;
}

/*
 * Repeats the call until a number of calls or a time is reached, and reads the
 * clock before and after each call. Each time includes reading the clock.
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

/* Repeats the call and reads the clock only before the first and after the last: the floor. */
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
