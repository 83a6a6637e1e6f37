/* Hashes and checksums of byte strings. */
#ifndef MIXED_HASH_H
#define MIXED_HASH_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32(const void *data, size_t size);
uint32_t crc32c(const void *data, size_t size);
uint64_t crc64(const void *data, size_t size);
uint32_t adler32(const void *data, size_t size);
uint64_t fnv1a(const void *data, size_t size);
uint32_t murmur3(const void *data, size_t size, uint32_t seed);
uint32_t xxh32(const void *data, size_t size, uint32_t seed);
uint64_t siphash(const void *data, size_t size, const uint8_t key[16]);
void sha256(const void *data, size_t size, uint8_t digest[32]);

static inline uint32_t hash_rotl32(uint32_t x, int n) { return x << n | x >> (32 - n); }
static inline uint64_t hash_rotl64(uint64_t x, int n) { return x << n | x >> (64 - n); }
static inline uint32_t hash_rotr32(uint32_t x, int n) { return x >> n | x << (32 - n); }

static inline uint32_t hash_read32(const uint8_t *p) {
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t hash_read64(const uint8_t *p) { return hash_read32(p) | (uint64_t)hash_read32(p + 4) << 32; }

#endif
