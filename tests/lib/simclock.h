/*
 * simclock.h - a clock behind the door that moves only when a test moves it.
 */
#ifndef DITTOFS_TESTS_SIMCLOCK_H
#define DITTOFS_TESTS_SIMCLOCK_H

#include "dittofs/clock.h"

/* Puts the clock behind the door: wall 2024-01-01T00:00:00Z, monotonic 1000 s. */
void simclock_install(void);
/* Puts the system's back. */
void simclock_remove(void);

/* Both clocks go on. */
void simclock_advance_ms(uint64_t ms);
void simclock_advance_ns(uint64_t ns);
/* The wall clock alone is set, forwards or back. */
void simclock_set_wall(struct timestamp wall);
void simclock_jump_wall_s(int64_t seconds);
/* Each look at the wall clock moves it by this much afterwards (so that two changes differ); 0 stops it. */
void simclock_set_tick_ns(uint64_t ns);

#endif
