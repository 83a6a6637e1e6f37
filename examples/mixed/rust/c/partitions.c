/* In how many ways a number up to 400 is a sum, by Euler's pentagonal numbers; 0 beyond. */
#include "numbers.h"

enum { LARGEST = 400 };

uint64_t num_partitions(uint32_t n) {
    uint64_t ways[LARGEST + 1] = {1};
    if (n > LARGEST) return 0;
    for (int i = 1; i <= (int)n; i++)
        for (int k = 1; k * (3 * k - 1) / 2 <= i; k++) {
            uint64_t sum = ways[i - k * (3 * k - 1) / 2];
            if (k * (3 * k + 1) / 2 <= i) sum += ways[i - k * (3 * k + 1) / 2];
            ways[i] += k % 2 ? sum : -sum;
        }
    return ways[n];
}
