#pragma once
/*
 * How long the scheduler lets a thread run at a time. A thread that asks for short slices is let
 * in sooner when it wakes: it need not wait until whoever has the core has used up a slice of the
 * default length (1.4 ms on two cores). Its share of the core stays the same.
 */

/* For the calling thread. A wish: kernels before 6.12, and those that refuse, do as before. */
void slices_shorten(void);
