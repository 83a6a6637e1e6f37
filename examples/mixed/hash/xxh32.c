/* xxHash with 32 bits. */
#include "hash/hash.h"

enum { LANES = 4 };
static const uint32_t P1 = 0x9E3779B1u, P2 = 0x85EBCA77u, P3 = 0xC2B2AE3Du, P4 = 0x27D4EB2Fu, P5 = 0x165667B1u;

static uint32_t mix(uint32_t lane, uint32_t word) { return hash_rotl32(lane + word * P2, 13) * P1; }

uint32_t xxh32(const void *data, size_t size, uint32_t seed) {
    const uint8_t *p = data;
    size_t left = size;
    uint32_t h = seed + P5;
    if (left >= 16) {
        uint32_t lane[LANES] = {seed + P1 + P2, seed + P2, seed, seed - P1};
        for (; left >= 16; left -= 16, p += 16)
            for (int i = 0; i < LANES; i++) lane[i] = mix(lane[i], hash_read32(p + 4 * i));
        h = hash_rotl32(lane[0], 1) + hash_rotl32(lane[1], 7) + hash_rotl32(lane[2], 12) + hash_rotl32(lane[3], 18);
    }
    h += (uint32_t)size;
    for (; left >= 4; left -= 4, p += 4) h = hash_rotl32(h + hash_read32(p) * P3, 17) * P4;
    for (; left; left--, p++) h = hash_rotl32(h + *p * P5, 11) * P1;
    h = (h ^ h >> 15) * P2;
    h = (h ^ h >> 13) * P3;
    return h ^ h >> 16;
}
