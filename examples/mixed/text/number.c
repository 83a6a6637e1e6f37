/* Numbers in English words. */
#include "text/text.h"

#include <string.h>

static const char *const small[] = {"",        "one",     "two",       "three",    "four",     "five",    "six",
                                    "seven",   "eight",   "nine",      "ten",      "eleven",   "twelve",  "thirteen",
                                    "fourteen", "fifteen", "sixteen",  "seventeen", "eighteen", "nineteen"};
static const char *const tens[] = {"", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy",
                                   "eighty", "ninety"};

static char *word(char *out, char *start, const char *text) {
    if (out != start && out[-1] != '-') *out++ = ' ';
    return stpcpy(out, text);
}

static char *below_1000(uint32_t n, char *out, char *start) {
    if (n >= 100) {
        out = word(out, start, small[n / 100]);
        out = word(out, start, "hundred");
        n %= 100;
    }
    if (n >= 20) {
        out = word(out, start, tens[n / 10]);
        n %= 10;
        if (n) *out++ = '-';
    }
    return n ? word(out, start, small[n]) : out;
}

size_t number_words(uint32_t number, char *out) {
    static const struct {
        uint32_t size;
        const char *name;
    } scale[] = {{1000000000, "billion"}, {1000000, "million"}, {1000, "thousand"}};
    char *start = out;
    if (!number) out = stpcpy(out, "zero");
    for (int i = 0; i < 3; i++) {
        if (number < scale[i].size) continue;
        out = below_1000(number / scale[i].size, out, start);
        out = word(out, start, scale[i].name);
        number %= scale[i].size;
    }
    out = below_1000(number, out, start);
    *out = 0;
    return (size_t)(out - start);
}
