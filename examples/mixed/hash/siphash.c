/* SipHash-2-4, for tables whose keys come from strangers. */
#include "hash/hash.h"

#define ROUND(a, b, c, d) \
    do { \
        a += b, b = hash_rotl64(b, 13) ^ a, a = hash_rotl64(a, 32); \
        c += d, d = hash_rotl64(d, 16) ^ c; \
        a += d, d = hash_rotl64(d, 21) ^ a; \
        c += b, b = hash_rotl64(b, 17) ^ c, c = hash_rotl64(c, 32); \
    } while (0)

uint64_t siphash(const void *data, size_t size, const uint8_t key[16]) {
    const uint8_t *p = data;
    uint64_t k0 = hash_read64(key), k1 = hash_read64(key + 8);
    uint64_t a = k0 ^ 0x736f6d6570736575u, b = k1 ^ 0x646f72616e646f6du;
    uint64_t c = k0 ^ 0x6c7967656e657261u, d = k1 ^ 0x7465646279746573u;
    uint64_t last = (uint64_t)size << 56;
    size_t left = size;
    for (; left >= 8; left -= 8, p += 8) {
        uint64_t word = hash_read64(p);
        d ^= word;
        ROUND(a, b, c, d);
        ROUND(a, b, c, d);
        a ^= word;
    }
    for (size_t i = 0; i < left; i++) last |= (uint64_t)p[i] << (8 * i);
    d ^= last;
    ROUND(a, b, c, d);
    ROUND(a, b, c, d);
    a ^= last;
    c ^= 0xff;
    for (int i = 0; i < 4; i++) ROUND(a, b, c, d);
    return a ^ b ^ c ^ d;
}
