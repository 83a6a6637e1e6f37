/* A map of strings with open addressing; it owns copies of its keys, in its arena. */
#include "hash/hash.h"
#include "store/store.h"

#include <string.h>

static struct map_entry *find(struct map_entry *entries, size_t room, const char *key) {
    for (size_t i = fnv1a(key, strlen(key));; i++) {
        struct map_entry *entry = &entries[i & (room - 1)];
        if (!entry->key || !strcmp(entry->key, key)) return entry;
    }
}

static void grow(struct map *map) {
    size_t room = map->room ? map->room * 2 : 16;
    struct map_entry *entries = arena_alloc(map->arena, room * sizeof *entries);
    for (size_t i = 0; i < map->room; i++)
        if (map->entries[i].key) *find(entries, room, map->entries[i].key) = map->entries[i];
    map->entries = entries;
    map->room = room;
}

int64_t *map_slot(struct map *map, const char *key) {
    if (map->length * 4 >= map->room * 3) grow(map);
    struct map_entry *entry = find(map->entries, map->room, key);
    if (!entry->key) {
        entry->key = arena_copy(map->arena, key);
        map->length++;
    }
    return &entry->value;
}
