/* A ring buffer: full and empty differ by the counts, so that every slot can be used. */
#include "store/store.h"

enum { SLOTS = sizeof((struct ring *)0)->slots / sizeof(uint32_t) };

bool ring_put(struct ring *ring, uint32_t value) {
    if (ring->put - ring->taken == SLOTS) return false;
    ring->slots[ring->put++ % SLOTS] = value;
    return true;
}

bool ring_take(struct ring *ring, uint32_t *value) {
    if (ring->put == ring->taken) return false;
    *value = ring->slots[ring->taken++ % SLOTS];
    return true;
}
