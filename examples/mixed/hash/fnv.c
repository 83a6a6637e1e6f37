/* FNV-1a with 64 bits. */
#include "hash/hash.h"

uint64_t fnv1a(const void *data, size_t size) {
    const uint8_t *p = data;
    uint64_t hash = 0xcbf29ce484222325u;
    while (size--) hash = (hash ^ *p++) * 0x100000001b3u;
    return hash;
}
