/* SPDX-License-Identifier: BSD-3-Clause */
/* How much is under way while a delta is applied. */
#include "delta/apply/flight.h"
#include "images.h"

enum { LONG = 30 * MIB, SPARE = 24 * MIB };

static bool enters(struct flight *flight, uint64_t cost)
{
	return flight_enter(flight, cost, false);
}

static struct flight flight_of(unsigned threads)
{
	struct flight flight;
	flight_init(&flight, threads);
	return flight;
}

/* Two at once, and one for each that waits for its turn: of what is made of it there is not much. */
START_TEST(long_ones_enter_while_others_wait)
{
	struct flight flight = flight_of(2);
	ck_assert(enters(&flight, LONG));
	ck_assert(enters(&flight, LONG));
	ck_assert(!enters(&flight, LONG));
	flight_wait(&flight, SPARE, LONG - SPARE);
	ck_assert(enters(&flight, LONG));
	ck_assert(!enters(&flight, LONG));
	flight_wait(&flight, SPARE, LONG - SPARE);
	ck_assert(enters(&flight, LONG));
	ck_assert_uint_eq(flight.used, 2 * LONG + 2 * (LONG - SPARE));
	flight_leave(&flight, LONG - SPARE, LONG - SPARE, false);
	ck_assert_uint_eq(flight.made, LONG - SPARE);
	flight_destroy(&flight);
}
END_TEST

/* Whatever their order. */
START_TEST(a_shorter_one_enters_beside_a_long_one)
{
	struct flight flight = flight_of(2);
	ck_assert(enters(&flight, LONG));
	ck_assert(enters(&flight, LONG - MIB));
	ck_assert(!enters(&flight, LONG - MIB));
	flight_destroy(&flight);
}
END_TEST

/* What waits is no shorter than what it was made of: there is a limit to that. */
START_TEST(what_waits_is_limited)
{
	struct flight flight = flight_of(2);
	ck_assert(enters(&flight, LONG));
	ck_assert(enters(&flight, LONG));
	flight_wait(&flight, LONG / 2, LONG / 2);
	ck_assert(enters(&flight, LONG));
	flight_wait(&flight, LONG / 2, LONG / 2);
	ck_assert(!enters(&flight, LONG));
	ck_assert_uint_le(flight.used, 2 * LONG + FLIGHT_MADE_MAX);
	flight_destroy(&flight);
}
END_TEST

START_TEST(nothing_enters_after_a_failure)
{
	struct flight flight = flight_of(1);
	ck_assert(flight_enter(&flight, LONG, true));
	ck_assert(!enters(&flight, LONG));
	flight_leave(&flight, LONG, 0, true);
	ck_assert_uint_eq(flight.used, 0);
	ck_assert(!flight_enter(&flight, 1, true));
	flight_destroy(&flight);
}
END_TEST

int main(void)
{
	TCase *c = case_new("flight");
	tcase_add_test(c, long_ones_enter_while_others_wait);
	tcase_add_test(c, a_shorter_one_enters_beside_a_long_one);
	tcase_add_test(c, what_waits_is_limited);
	tcase_add_test(c, nothing_enters_after_a_failure);
	return case_run("flight", c);
}
