/* A pool: the free list runs through the free objects themselves. */
#include "store/store.h"

#include <string.h>

void *pool_take(struct pool *pool) {
    pool->live++;
    void *object = pool->free;
    if (!object) return arena_alloc(pool->arena, pool->size < sizeof(void *) ? sizeof(void *) : pool->size);
    memcpy(&pool->free, object, sizeof(void *));
    return memset(object, 0, pool->size);
}

void pool_give(struct pool *pool, void *object) {
    memcpy(object, &pool->free, sizeof(void *));
    pool->free = object;
    pool->live--;
}
