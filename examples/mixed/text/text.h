/* Reading and writing text. */
#ifndef MIXED_TEXT_H
#define MIXED_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum token_kind { TOKEN_BAD, TOKEN_END, TOKEN_SPACE, TOKEN_NAME, TOKEN_NUMBER, TOKEN_STRING, TOKEN_PUNCTUATION };
struct token {
    enum token_kind kind;
    const char *start;
    size_t length;
};
struct token token_next(const char **text);

/* The value of an arithmetic expression; false when it is none. */
bool expr_value(const char *text, int64_t *value);

/* The count of characters, or -1 where the bytes are not UTF-8. */
long utf8_length(const char *text);
size_t base64_encode(const uint8_t *bytes, size_t size, char *out);
bool glob_match(const char *pattern, const char *text);
size_t escape_c(const char *text, char *out);
size_t number_words(uint32_t number, char *out);
unsigned edit_distance(const char *a, const char *b);

#endif
