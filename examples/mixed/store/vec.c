/* A vector that doubles. */
#include "store/store.h"

#include <stdlib.h>

void vec_push(struct vec *vec, int64_t item) {
    if (vec->length == vec->room) {
        vec->room = vec->room ? vec->room * 2 : 8;
        vec->items = realloc(vec->items, vec->room * sizeof *vec->items);
        if (!vec->items) abort();
    }
    vec->items[vec->length++] = item;
}

int64_t vec_pop(struct vec *vec) { return vec->items[--vec->length]; }

void vec_free(struct vec *vec) {
    free(vec->items);
    *vec = (struct vec){0};
}
