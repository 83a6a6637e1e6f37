/* glibc tells gcc's unwinder by this where the tables of a program are. musl has no such function, so this is one for a
   program that is static. Written for `cargo xtask check-targets`. */
#define _GNU_SOURCE
#include <link.h>
#include <pthread.h>
#include <stddef.h>

/* The unwinder names these weakly, and for a weak name a static link takes nothing out of a library: it would call nothing. */
void *const find_object_needs[] __attribute__((used)) = {
    pthread_getspecific, pthread_key_create,   pthread_mutex_lock,
    pthread_mutex_unlock, pthread_once, pthread_setspecific,
};

/* As <dlfcn.h> of glibc has it for 64 bits. */
struct found {
    unsigned long long flags;
    void *start, *end, *object, *frames;
    unsigned long long reserved[7];
};

struct search {
    char *at;
    struct found *found;
};

static int look(struct dl_phdr_info *info, size_t size, void *data)
{
    struct search *search = data;
    void *frames = NULL;
    int is_here = 0;
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        char *start = (char *)(info->dlpi_addr + part->p_vaddr);
        if (part->p_type == PT_GNU_EH_FRAME)
            frames = start;
        if (part->p_type == PT_LOAD && search->at >= start && search->at < start + part->p_memsz) {
            is_here = 1;
            search->found->start = start;
            search->found->end = start + part->p_memsz;
        }
    }
    search->found->frames = frames;
    return is_here && frames != NULL;
}

int _dl_find_object(void *at, struct found *found)
{
    struct search search = { at, found };
    *found = (struct found){ 0 };
    return dl_iterate_phdr(look, &search) ? 0 : -1;
}
