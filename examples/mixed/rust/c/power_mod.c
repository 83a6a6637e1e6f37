/* Modular powers by squaring, with products of 128 bits; written out for all 64 bits of the exponent. */
#include "numbers.h"

uint64_t num_power_mod(uint64_t base, uint64_t exponent, uint64_t modulus) {
    if (modulus < 2) return 0;
    uint64_t result = 1;
    base %= modulus;
#pragma GCC unroll 64
    for (int bit = 0; bit < 64; bit++) {
        if (exponent >> bit & 1) result = (uint64_t)((unsigned __int128)result * base % modulus);
        if (exponent >> bit <= 1) break;
        base = (uint64_t)((unsigned __int128)base * base % modulus);
    }
    return result;
}
