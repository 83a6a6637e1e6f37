/* Binomial coefficients; 0 where the result or a step towards it needs more than 64 bits. */
#include "numbers.h"

uint64_t num_binomial(uint32_t n, uint32_t k) {
    if (k > n) return 0;
    if (k > n - k) k = n - k;
    uint64_t result = 1;
    for (uint32_t i = 1; i <= k; i++) {
        unsigned __int128 product = (unsigned __int128)result * (n - k + i) / i;
        if (product >> 64) return 0;
        result = (uint64_t)product;
    }
    return result;
}
