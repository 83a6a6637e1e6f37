/* The hashes of the texts for which their authors publish them. */
#include "app/checks.h"
#include "hash/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void hash_checks(void) {
    const char *spam = "Nobody inspects the spammish repetition";
    printf("crc32: %08" PRIx32 "\n", crc32("123456789", 9));
    printf("crc32c: %08" PRIx32 "\n", crc32c("123456789", 9));
    printf("crc64: %016" PRIx64 "\n", crc64("123456789", 9));
    printf("adler32: %08" PRIx32 "\n", adler32("Wikipedia", 9));
    printf("fnv1a: %016" PRIx64 "\n", fnv1a("foobar", 6));
    printf("murmur3: %08" PRIx32 "\n", murmur3("hello", 5, 0));
    printf("xxh32: %08" PRIx32 "\n", xxh32(spam, strlen(spam), 0));
    uint8_t key[16], digest[32];
    for (uint8_t i = 0; i < 16; i++) key[i] = i;
    printf("siphash: %016" PRIx64 "\n", siphash(key, 15, key));
    sha256("abc", 3, digest);
    printf("sha256: ");
    for (int i = 0; i < 32; i++) printf("%02x", digest[i]);
    printf("\n");
}
