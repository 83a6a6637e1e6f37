/* Adler-32, in blocks short enough that the sums can't overflow before the division. */
#include "hash/hash.h"

uint32_t adler32(const void *data, size_t size) {
    const uint8_t *p = data;
    uint32_t a = 1, b = 0;
    while (size) {
        size_t block = size < 5552 ? size : 5552;
        size -= block;
        while (block--) {
            a += *p++;
            b += a;
        }
        a %= 65521;
        b %= 65521;
    }
    return b << 16 | a;
}
