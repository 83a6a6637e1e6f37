/* Fibonacci numbers by doubling, modulo 2^64. */
#include "numbers.h"

uint64_t num_fibonacci(uint32_t n) {
    uint64_t a = 0, b = 1;
    for (int bit = 31; bit >= 0; bit--) {
        uint64_t even = a * (2 * b - a), odd = a * a + b * b;
        a = n >> bit & 1 ? odd : even;
        b = n >> bit & 1 ? even + odd : odd;
    }
    return a;
}
