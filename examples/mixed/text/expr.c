/* Arithmetic by precedence climbing over the tokens: + - * / %, unary minus, parentheses. */
#include "text/text.h"

struct parser {
    const char *rest;
    struct token token;
    bool good;
};

static void advance(struct parser *parser) { parser->token = token_next(&parser->rest); }

static bool at(const struct parser *parser, char what) {
    return parser->token.kind == TOKEN_PUNCTUATION && *parser->token.start == what;
}

static int precedence(const struct parser *parser) {
    if (at(parser, '+') || at(parser, '-')) return 1;
    if (at(parser, '*') || at(parser, '/') || at(parser, '%')) return 2;
    return 0;
}

static int64_t binary(struct parser *parser, int least);

static int64_t primary(struct parser *parser) {
    int64_t value = 0;
    if (at(parser, '-')) {
        advance(parser);
        return -primary(parser);
    }
    if (at(parser, '(')) {
        advance(parser);
        value = binary(parser, 1);
        parser->good &= at(parser, ')');
    } else if (parser->token.kind == TOKEN_NUMBER) {
        for (size_t i = 0; i < parser->token.length; i++) value = value * 10 + parser->token.start[i] - '0';
    } else {
        parser->good = false;
    }
    advance(parser);
    return value;
}

static int64_t apply(struct parser *parser, char operator, int64_t left, int64_t right) {
    switch (operator) {
    case '+':
        return left + right;
    case '-':
        return left - right;
    case '*':
        return left * right;
    default:
        if (right == 0) {
            parser->good = false;
            return 0;
        }
        return operator == '/' ? left / right : left % right;
    }
}

static int64_t binary(struct parser *parser, int least) {
    int64_t left = primary(parser);
    for (int level; parser->good && (level = precedence(parser)) >= least && level;) {
        char operator = *parser->token.start;
        advance(parser);
        left = apply(parser, operator, left, binary(parser, level + 1));
    }
    return left;
}

bool expr_value(const char *text, int64_t *value) {
    struct parser parser = {text, {0}, true};
    advance(&parser);
    *value = binary(&parser, 1);
    return parser.good && parser.token.kind == TOKEN_END;
}
