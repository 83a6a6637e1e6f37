/* UTF-8, without overlong forms, surrogates and what lies above U+10FFFF. */
#include "text/text.h"

long utf8_length(const char *text) {
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    const uint8_t *p = (const uint8_t *)text;
    long length = 0;
    while (*p) {
        int more = *p < 0x80 ? 0 : (*p & 0xe0) == 0xc0 ? 1 : (*p & 0xf0) == 0xe0 ? 2 : (*p & 0xf8) == 0xf0 ? 3 : -1;
        if (more < 0) return -1;
        uint32_t point = more ? *p & (0x3f >> more) : *p;
        p++;
        for (int i = 0; i < more; i++, p++) {
            if ((*p & 0xc0) != 0x80) return -1;
            point = point << 6 | (*p & 0x3f);
        }
        if (point < least[more] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return -1;
        length++;
    }
    return length;
}
