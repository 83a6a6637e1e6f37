/* Text as a C string literal. */
#include "text/text.h"

#include <string.h>

size_t escape_c(const char *text, char *out) {
    static const char special[] = "\"\"\\\\\nn\tt\rr";
    char *start = out;
    *out++ = '"';
    for (; *text; text++) {
        const char *found = NULL;
        for (const char *s = special; *s; s += 2)
            if (*s == *text) found = s + 1;
        uint8_t byte = (uint8_t)*text;
        if (found) {
            *out++ = '\\';
            *out++ = *found;
        } else if (byte < 32 || byte > 126) {
            *out++ = '\\';
            for (int shift = 6; shift >= 0; shift -= 3) *out++ = (char)('0' + (byte >> shift & 7));
        } else {
            *out++ = *text;
        }
    }
    strcpy(out, "\"");
    return (size_t)(out + 1 - start);
}
