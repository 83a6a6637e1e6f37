/* How many divisors a number has: below 1,024 from a table that the preprocessor writes, else by its factors. */
#include "numbers.h"
#include "repeat.h"

/* A divisor below the square root comes with another one above it. */
#define PAIR(i, d) +(2 * ((d) * (d) < (i) && (i) % (d) == 0) + ((d) * (d) == (i)))
#define PAIRS_4(i, d) PAIR(i, d) PAIR(i, (d) + 1) PAIR(i, (d) + 2) PAIR(i, (d) + 3)
#define PAIRS_16(i, d) PAIRS_4(i, d) PAIRS_4(i, (d) + 4) PAIRS_4(i, (d) + 8) PAIRS_4(i, (d) + 12)
#define COUNT(i) PAIRS_16(i, 1) PAIRS_16(i, 17),

static const uint8_t small[1024] = {REPEAT_1024(COUNT, 0)};

uint64_t num_divisors(uint64_t n) {
    uint64_t count = 1;
    for (uint64_t p = 2; n >= 1024 && p <= n / p; p++) {
        uint64_t power = 1;
        for (; n % p == 0; n /= p) power++;
        count *= power;
    }
    return n < 1024 ? count * small[n] : count * 2;
}
