/* CRC-32 (IEEE 802.3), by a table that the preprocessor works out: 256 entries of eight nested steps. */
#include "hash/hash.h"
#include "repeat.h"

#define POLYNOMIAL 0xEDB88320u
#define STEP(c) ((c) >> 1 ^ (POLYNOMIAL & -((c) & 1)))
#define STEPS_4(c) STEP(STEP(STEP(STEP(c))))
#define ENTRY(i) STEPS_4(STEPS_4((uint32_t)(i))),

static const uint32_t table[256] = {REPEAT_256(ENTRY, 0)};

uint32_t crc32(const void *data, size_t size) {
    const uint8_t *p = data;
    uint32_t crc = ~(uint32_t)0;
    while (size--) crc = table[(uint8_t)crc ^ *p++] ^ crc >> 8;
    return ~crc;
}
