/* A set of small numbers, counted by a table of 4,096 population counts. */
#include "repeat.h"
#include "store/store.h"

#define BIT(i, n) ((i) >> (n)&1)
#define ONES_4(i, n) (BIT(i, n) + BIT(i, (n) + 1) + BIT(i, (n) + 2) + BIT(i, (n) + 3))
#define ENTRY(i) ONES_4(i, 0) + ONES_4(i, 4) + ONES_4(i, 8),

static const uint8_t ones[4096] = {REPEAT_4096(ENTRY, 0)};

void bitset_add(struct bitset *set, unsigned bit) { set->words[bit / 64] |= (uint64_t)1 << (bit % 64); }

bool bitset_has(const struct bitset *set, unsigned bit) { return set->words[bit / 64] >> (bit % 64) & 1; }

unsigned bitset_count(const struct bitset *set) {
    unsigned count = 0;
    for (size_t i = 0; i < BITSET_BITS / 64; i++)
        for (uint64_t word = set->words[i]; word; word >>= 12) count += ones[word & 4095];
    return count;
}
