/* Containers and the memory they live in. */
#ifndef MIXED_STORE_H
#define MIXED_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Everything allocated from an arena is freed at once, by arena_free. */
struct arena {
    struct arena_block *block;
    size_t used, total;
};
void *arena_alloc(struct arena *arena, size_t size);
char *arena_copy(struct arena *arena, const char *text);
void arena_free(struct arena *arena);

/* Objects of one size, reused in the reverse order of their release. */
struct pool {
    struct arena *arena;
    size_t size;
    void *free;
    size_t live;
};
void *pool_take(struct pool *pool);
void pool_give(struct pool *pool, void *object);

struct vec {
    int64_t *items;
    size_t length, room;
};
void vec_push(struct vec *vec, int64_t item);
int64_t vec_pop(struct vec *vec);
void vec_free(struct vec *vec);

/* A queue of fixed size; the count of what was ever put and taken wraps harmlessly. */
struct ring {
    uint32_t slots[64];
    uint32_t put, taken;
};
bool ring_put(struct ring *ring, uint32_t value);
bool ring_take(struct ring *ring, uint32_t *value);

struct map {
    struct arena *arena;
    struct map_entry {
        const char *key;
        int64_t value;
    } *entries;
    size_t length, room;
};
int64_t *map_slot(struct map *map, const char *key);

enum { BITSET_BITS = 4096 };
struct bitset {
    uint64_t words[BITSET_BITS / 64];
};
void bitset_add(struct bitset *set, unsigned bit);
bool bitset_has(const struct bitset *set, unsigned bit);
unsigned bitset_count(const struct bitset *set);

void heap_push(struct vec *heap, int64_t item);
int64_t heap_pop(struct vec *heap);

void sort_i8(int8_t *items, size_t count);
void sort_i16(int16_t *items, size_t count);
void sort_i32(int32_t *items, size_t count);
void sort_i64(int64_t *items, size_t count);
void sort_u32(uint32_t *items, size_t count);
void sort_u64(uint64_t *items, size_t count);
void sort_f32(float *items, size_t count);
void sort_f64(double *items, size_t count);

#endif
