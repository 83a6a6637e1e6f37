/* A little of everything that text/ does. */
#include "app/checks.h"
#include "text/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void text_checks(void) {
    char out[256];
    int64_t value = 0;
    int kinds[TOKEN_PUNCTUATION + 1] = {0};
    const char *source = "if (name_1 == \"a \\\" b\") return 42 + \x01;";
    for (struct token token; (token = token_next(&source)).kind != TOKEN_END;) kinds[token.kind]++;
    printf("tokens: %d names, %d numbers, %d strings, %d punctuation, %d bad\n", kinds[TOKEN_NAME], kinds[TOKEN_NUMBER],
           kinds[TOKEN_STRING], kinds[TOKEN_PUNCTUATION], kinds[TOKEN_BAD]);
    bool good = expr_value("2 + 3 * (10 - 4) / -9 % 5 * 11", &value);
    printf("expression: %s %" PRId64 "\n", good ? "is" : "is not", value);
    printf("bad expressions: %d %d %d\n", expr_value("1 +", &value), expr_value("(1", &value),
           expr_value("1 / 0", &value));
    printf("utf8: %ld %ld %ld\n", utf8_length("na\xc3\xafve \xe2\x82\xac \xf0\x9f\x92\xa7"), utf8_length("\xc0\x80"),
           utf8_length("\xed\xa0\x80"));
    const char *words = "any carnal pleas";
    for (size_t size = 14; size <= 16; size++) {
        base64_encode((const uint8_t *)words, size, out);
        printf("base64: %s\n", out);
    }
    printf("glob: %d %d %d\n", glob_match("*.tar.?z", "a.tar.tar.gz"), glob_match("a*b*c", "aXbXd"),
           glob_match("**", ""));
    escape_c("tab\t\"quote\" back\\slash \x7f\n", out);
    printf("escape: %s\n", out);
    number_words(1200045817, out);
    printf("words: %s\n", out);
    printf("edits: %u %u\n", edit_distance("kitten", "sitting"), edit_distance("", "abc"));
}
