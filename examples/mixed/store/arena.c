/* An arena: blocks that grow, pointers that only move forward. */
#include "store/store.h"

#include <stdlib.h>
#include <string.h>

struct arena_block {
    struct arena_block *previous;
    size_t room;
    _Alignas(max_align_t) unsigned char bytes[];
};

void *arena_alloc(struct arena *arena, size_t size) {
    size = (size + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
    if (!arena->block || arena->block->room - arena->used < size) {
        size_t room = arena->block ? arena->block->room * 2 : 4096;
        while (room < size) room *= 2;
        struct arena_block *block = malloc(sizeof *block + room);
        if (!block) abort();
        block->previous = arena->block;
        block->room = room;
        arena->block = block;
        arena->used = 0;
    }
    void *at = arena->block->bytes + arena->used;
    arena->used += size;
    arena->total += size;
    return memset(at, 0, size);
}

char *arena_copy(struct arena *arena, const char *text) {
    size_t size = strlen(text) + 1;
    return memcpy(arena_alloc(arena, size), text, size);
}

void arena_free(struct arena *arena) {
    for (struct arena_block *block = arena->block, *previous; block; block = previous) {
        previous = block->previous;
        free(block);
    }
    *arena = (struct arena){0};
}
