/* The containers, filled from a small generator so that the numbers are the same everywhere. */
#include "app/checks.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>

static uint32_t next(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    return *state ^= *state << 5;
}

#define SORTED(T, suffix) \
    do { \
        T items[1000]; \
        for (int i = 0; i < 1000; i++) items[i] = (T)next(&state); \
        sort_##suffix(items, 1000); \
        for (int i = 1; i < 1000; i++) good += items[i - 1] <= items[i]; \
    } while (0)

void store_checks(void) {
    struct arena arena = {0};
    struct map map = {.arena = &arena};
    uint32_t state = 2463534242u;
    char key[16];
    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "key-%u", (unsigned)(next(&state) % 700));
        ++*map_slot(&map, key);
    }
    int64_t sum = 0;
    for (size_t i = 0; i < map.room; i++) sum += map.entries[i].value;
    printf("map: %zu keys, %" PRId64 " insertions\n", map.length, sum);

    struct pool pool = {.arena = &arena, .size = 48};
    void *first = pool_take(&pool), *second = pool_take(&pool);
    pool_give(&pool, first);
    bool reused = pool_take(&pool) == first && second != first;
    printf("pool: %s, %zu live\n", reused ? "reused" : "not reused", pool.live);
    arena_free(&arena);

    struct vec heap = {0};
    for (int i = 0; i < 1000; i++) heap_push(&heap, (int32_t)next(&state));
    int ordered = 0;
    for (int64_t last = INT64_MIN; heap.length;) {
        int64_t item = heap_pop(&heap);
        ordered += last <= item;
        last = item;
    }
    vec_free(&heap);
    printf("heap: %d of 1000 in order\n", ordered);

    struct ring ring = {0};
    uint32_t put = 0, taken = 0, value;
    while (ring_put(&ring, put)) put++;
    while (ring_take(&ring, &value)) taken += value == taken;
    printf("ring: %" PRIu32 " in, %" PRIu32 " out\n", put, taken);

    struct bitset set = {0};
    for (unsigned i = 0; i < BITSET_BITS; i += 3) bitset_add(&set, i);
    printf("bitset: %u, has 9: %d, has 10: %d\n", bitset_count(&set), bitset_has(&set, 9), bitset_has(&set, 10));

    int good = 0;
    SORTED(int8_t, i8);
    SORTED(int16_t, i16);
    SORTED(int32_t, i32);
    SORTED(int64_t, i64);
    SORTED(uint32_t, u32);
    SORTED(uint64_t, u64);
    SORTED(float, f32);
    SORTED(double, f64);
    printf("sort: %d of 7992 pairs in order\n", good);
}
