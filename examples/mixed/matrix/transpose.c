/* One transposition for each size from 1 to 16, like the products. */
#include "matrix/matrix.h"
#include "repeat.h"

#define TRANSPOSE(n) \
    static void transpose_##n(const double *restrict a, double *restrict out) { \
        _Pragma("GCC unroll 16") for (int i = 0; i < n; i++) \
            _Pragma("GCC unroll 16") for (int j = 0; j < n; j++) out[j * n + i] = a[i * n + j]; \
    }
FOR_1_TO_16(TRANSPOSE)

#define NAME(n) transpose_##n,
static void (*const transpose[])(const double *, double *) = {FOR_1_TO_16(NAME)};

void matrix_transpose(size_t n, const double *a, double *out) { transpose[n - 1](a, out); }
