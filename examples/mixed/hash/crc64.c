/* CRC-64 (ECMA-182, as xz uses it), by a table that the preprocessor works out: 256 entries of eight nested steps. */
#include "hash/hash.h"
#include "repeat.h"

#define POLYNOMIAL 0xC96C5795D7870F42u
#define STEP(c) ((c) >> 1 ^ (POLYNOMIAL & -((c) & 1)))
#define STEPS_4(c) STEP(STEP(STEP(STEP(c))))
#define ENTRY(i) STEPS_4(STEPS_4((uint64_t)(i))),

static const uint64_t table[256] = {REPEAT_256(ENTRY, 0)};

uint64_t crc64(const void *data, size_t size) {
    const uint8_t *p = data;
    uint64_t crc = ~(uint64_t)0;
    while (size--) crc = table[(uint8_t)crc ^ *p++] ^ crc >> 8;
    return ~crc;
}
