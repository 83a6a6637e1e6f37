/* Euler's totient by trial division. */
#include "numbers.h"

uint64_t num_totient(uint64_t n) {
    uint64_t result = n;
    for (uint64_t p = 2; p <= n / p; p++) {
        if (n % p) continue;
        result -= result / p;
        while (n % p == 0) n /= p;
    }
    return n > 1 ? result - result / n : result;
}
