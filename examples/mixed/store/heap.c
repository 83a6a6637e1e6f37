/* A binary heap in a vector, the smallest item first. */
#include "store/store.h"

static void swap(struct vec *heap, size_t a, size_t b) {
    int64_t item = heap->items[a];
    heap->items[a] = heap->items[b];
    heap->items[b] = item;
}

void heap_push(struct vec *heap, int64_t item) {
    vec_push(heap, item);
    for (size_t at = heap->length - 1; at && heap->items[at] < heap->items[(at - 1) / 2]; at = (at - 1) / 2)
        swap(heap, at, (at - 1) / 2);
}

int64_t heap_pop(struct vec *heap) {
    swap(heap, 0, heap->length - 1);
    int64_t top = vec_pop(heap);
    for (size_t at = 0;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < heap->length; child++)
            if (heap->items[child] < heap->items[least]) least = child;
        if (least == at) return top;
        swap(heap, at, least);
        at = least;
    }
}
