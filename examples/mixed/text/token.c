/* A tokenizer for C-like text: one table from byte to class, one loop a class. */
#include "text/text.h"

/* What is not listed is TOKEN_BAD. */
static const uint8_t class[256] = {
    [0] = TOKEN_END,
    ['\t' ... '\r'] = TOKEN_SPACE,
    [' '] = TOKEN_SPACE,
    ['a' ... 'z'] = TOKEN_NAME,
    ['A' ... 'Z'] = TOKEN_NAME,
    ['_'] = TOKEN_NAME,
    ['0' ... '9'] = TOKEN_NUMBER,
    ['"'] = TOKEN_STRING,
    ['!'] = TOKEN_PUNCTUATION,
    ['#' ... '/'] = TOKEN_PUNCTUATION,
    [':' ... '@'] = TOKEN_PUNCTUATION,
    ['[' ... '^'] = TOKEN_PUNCTUATION,
    ['`'] = TOKEN_PUNCTUATION,
    ['{' ... '~'] = TOKEN_PUNCTUATION,
};

static uint8_t class_of(char byte) { return class[(uint8_t)byte]; }

struct token token_next(const char **text) {
    const char *p = *text;
    while (class_of(*p) == TOKEN_SPACE) p++;
    struct token token = {class_of(*p), p, 0};
    switch (token.kind) {
    case TOKEN_END:
        break;
    case TOKEN_NAME:
        while (class_of(*p) == TOKEN_NAME || class_of(*p) == TOKEN_NUMBER) p++;
        break;
    case TOKEN_NUMBER:
        while (class_of(*p) == TOKEN_NUMBER) p++;
        break;
    case TOKEN_STRING:
        for (p++; *p && *p != '"'; p++)
            if (*p == '\\' && p[1]) p++;
        if (*p == '"')
            p++;
        else
            token.kind = TOKEN_BAD;
        break;
    default:
        p++;
    }
    token.length = (size_t)(p - token.start);
    *text = p;
    return token;
}
