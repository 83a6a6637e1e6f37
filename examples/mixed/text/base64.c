/* Base64, twelve bits at a time: a table of 4,096 pairs of letters, written by the preprocessor. */
#include "repeat.h"
#include "text/text.h"

#define LETTER(v) \
    ((v) < 26 ? 'A' + (v) : (v) < 52 ? 'a' + (v)-26 : (v) < 62 ? '0' + (v)-52 : (v) == 62 ? '+' : '/')
#define PAIR(i) {LETTER((i) >> 6), LETTER((i)&63)},

static const char pairs[4096][2] = {REPEAT_4096(PAIR, 0)};

static void put(char *out, unsigned bits) {
    out[0] = pairs[bits][0];
    out[1] = pairs[bits][1];
}

size_t base64_encode(const uint8_t *bytes, size_t size, char *out) {
    char *start = out;
    for (; size >= 3; size -= 3, bytes += 3, out += 4) {
        put(out, (unsigned)bytes[0] << 4 | bytes[1] >> 4);
        put(out + 2, (bytes[1] & 15u) << 8 | bytes[2]);
    }
    if (size) {
        unsigned second = size == 2 ? bytes[1] : 0;
        put(out, (unsigned)bytes[0] << 4 | second >> 4);
        put(out + 2, (second & 15u) << 8);
        if (size == 1) out[2] = '=';
        out[3] = '=';
        out += 4;
    }
    *out = 0;
    return (size_t)(out - start);
}
