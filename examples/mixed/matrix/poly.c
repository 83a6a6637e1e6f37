/* Horner's rule, unrolled for each degree from 1 to 16. */
#include "matrix/matrix.h"
#include "repeat.h"

#define VALUE(n) \
    static double value_##n(const double *c, double x) { \
        double sum = c[n]; \
        _Pragma("GCC unroll 16") for (int i = n - 1; i >= 0; i--) sum = sum * x + c[i]; \
        return sum; \
    }
FOR_1_TO_16(VALUE)

#define NAME(n) value_##n,
static double (*const value[])(const double *, double) = {FOR_1_TO_16(NAME)};

double poly_value(size_t degree, const double *c, double x) { return value[degree - 1](c, x); }
