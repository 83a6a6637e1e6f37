/* The lower triangle L with L * transposed(L) = a, one copy of the loops for each size from 1 to 16. */
#include "matrix/matrix.h"
#include "repeat.h"

#include <math.h>

static inline __attribute__((always_inline)) bool cholesky(const int n, const double *restrict a,
                                                           double *restrict out) {
#pragma GCC unroll 16
    for (int row = 0; row < n; row++) {
#pragma GCC unroll 2
        for (int column = 0; column < n; column++) {
            double sum = column > row ? 0 : a[row * n + column];
            for (int i = 0; i < column && column <= row; i++) sum -= out[row * n + i] * out[column * n + i];
            if (column == row && sum <= 0) return false;
            out[row * n + column] = column > row ? 0 : column == row ? sqrt(sum) : sum / out[column * n + column];
        }
    }
    return true;
}

#define CHOLESKY(n) \
    static bool cholesky_##n(const double *a, double *out) { return cholesky(n, a, out); }
FOR_1_TO_16(CHOLESKY)

#define NAME(n) cholesky_##n,
static bool (*const sized[])(const double *, double *) = {FOR_1_TO_16(NAME)};

bool matrix_cholesky(size_t n, const double *a, double *out) { return sized[n - 1](a, out); }
