/* The edit distance of two words of up to 63 letters, one row of the table at a time. */
#include "text/text.h"

#include <string.h>

static unsigned least(unsigned a, unsigned b) { return a < b ? a : b; }

unsigned edit_distance(const char *a, const char *b) {
    unsigned row[64];
    size_t width = strlen(b);
    if (width > 63) width = 63;
    for (size_t i = 0; i <= width; i++) row[i] = (unsigned)i;
    for (; *a; a++) {
        unsigned diagonal = row[0]++;
        for (size_t i = 1; i <= width; i++) {
            unsigned changed = diagonal + (*a != b[i - 1]);
            diagonal = row[i];
            row[i] = least(changed, least(row[i], row[i - 1]) + 1);
        }
    }
    return row[width];
}
