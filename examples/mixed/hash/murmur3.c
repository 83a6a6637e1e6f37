/* MurmurHash3, the variant with 32 bits. */
#include "hash/hash.h"

static uint32_t scramble(uint32_t k) { return hash_rotl32(k * 0xcc9e2d51u, 15) * 0x1b873593u; }

uint32_t murmur3(const void *data, size_t size, uint32_t seed) {
    const uint8_t *p = data;
    uint32_t h = seed;
    size_t left = size;
    for (; left >= 4; left -= 4, p += 4) h = hash_rotl32(h ^ scramble(hash_read32(p)), 13) * 5 + 0xe6546b64u;
    uint32_t tail = 0;
    for (size_t i = left; i > 0; i--) tail = tail << 8 | p[i - 1];
    h ^= scramble(tail);
    h ^= (uint32_t)size;
    h = (h ^ h >> 16) * 0x85ebca6bu;
    h = (h ^ h >> 13) * 0xc2b2ae35u;
    return h ^ h >> 16;
}
