/* Catalan numbers from the binomials; 0 where they need more than 64 bits. */
#include "numbers.h"

uint64_t num_catalan(uint32_t n) { return n > 33 ? 0 : num_binomial(2 * n, n) / (n + 1); }
