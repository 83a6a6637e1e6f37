/* The integer square root: a first guess from a table of 256 roots, then Newton's steps. */
#include "numbers.h"
#include "repeat.h"

#define REACHES(i, r) ((i) >= (r) * (r))
#define BIT(i, r, b) (REACHES(i, (r) + (b)) ? (r) + (b) : (r))
#define ROOT(i) BIT(i, BIT(i, BIT(i, BIT(i, 0, 8), 4), 2), 1),

static const uint8_t roots[256] = {REPEAT_256(ROOT, 0)};

uint64_t num_sqrt(uint64_t n) {
    if (n < 256) return roots[n];
    int shift = (64 - __builtin_clzll(n) - 8 + 1) & ~1;
    uint64_t x = ((uint64_t)roots[n >> shift] + 1) << (shift / 2);
    for (uint64_t y; (y = (x + n / x) / 2) < x;) x = y;
    return x;
}
