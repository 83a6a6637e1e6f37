/* Stein's algorithm: shifts and differences. */
#include "numbers.h"

uint64_t num_gcd(uint64_t a, uint64_t b) {
    if (!a || !b) return a | b;
    int common = __builtin_ctzll(a | b);
    a >>= __builtin_ctzll(a);
    while (b) {
        b >>= __builtin_ctzll(b);
        if (a > b) {
            uint64_t t = a;
            a = b;
            b = t;
        }
        b -= a;
    }
    return a << common;
}
