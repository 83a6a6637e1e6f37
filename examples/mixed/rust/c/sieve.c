/* Eratosthenes; a byte a number. The small numbers come from a table that the preprocessor writes. */
#include "numbers.h"
#include "repeat.h"

#include <string.h>

#define HIT(i, p) ((i) % (p) == 0 && (i) != (p))
#define COMPOSITE(i) \
    ((i) < 2 || HIT(i, 2) || HIT(i, 3) || HIT(i, 5) || HIT(i, 7) || HIT(i, 11) || HIT(i, 13) || \
     HIT(i, 17) || HIT(i, 19) || HIT(i, 23) || HIT(i, 29) || HIT(i, 31)),

/* Exact below 37 * 37. */
static const uint8_t small[1024] = {REPEAT_1024(COMPOSITE, 0)};

size_t num_sieve(uint8_t *composite, size_t length) {
    memset(composite, 0, length);
    memcpy(composite, small, length < sizeof small ? length : sizeof small);
    for (size_t p = 2; p * p < length; p++)
        if (!composite[p])
            for (size_t i = p * p; i < length; i += p) composite[i] = 1;
    size_t primes = 0;
    for (size_t i = 0; i < length; i++) primes += !composite[i];
    return primes;
}
