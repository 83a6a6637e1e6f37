/* Miller and Rabin with the first twelve primes as bases, which is a proof for 64 bits. */
#include "numbers.h"

bool num_is_prime(uint64_t n) {
    static const uint64_t bases[] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37};
    if (n < 2) return false;
    for (int i = 0; i < 12; i++)
        if (n % bases[i] == 0) return n == bases[i];
    int twos = __builtin_ctzll(n - 1);
    for (int i = 0; i < 12; i++) {
        uint64_t x = num_power_mod(bases[i], (n - 1) >> twos, n);
        bool good = x == 1 || x == n - 1;
        for (int j = 1; j < twos && !good; j++) {
            x = (uint64_t)((unsigned __int128)x * x % n);
            good = x == n - 1;
        }
        if (!good) return false;
    }
    return true;
}
