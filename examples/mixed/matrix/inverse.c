/* The inverse by Gauss and Jordan without pivots, for matrices with a heavy diagonal; one copy of the loops for each
 * size from 1 to 16. */
#include "matrix/matrix.h"
#include "repeat.h"

#include <string.h>

static inline __attribute__((always_inline)) bool invert(const int n, double *restrict m, double *restrict out) {
    for (int i = 0; i < n * n; i++) out[i] = i % (n + 1) == 0;
    for (int column = 0; column < n; column++) {
        double pivot = m[column * n + column];
        if (pivot == 0) return false;
#pragma GCC unroll 16
        for (int i = 0; i < n; i++) {
            m[column * n + i] /= pivot;
            out[column * n + i] /= pivot;
        }
        for (int row = 0; row < n; row++) {
            double factor = row == column ? 0 : m[row * n + column];
#pragma GCC unroll 16
            for (int i = 0; i < n; i++) {
                m[row * n + i] -= factor * m[column * n + i];
                out[row * n + i] -= factor * out[column * n + i];
            }
        }
    }
    return true;
}

#define INVERT(n) \
    static bool invert_##n(double *m, double *out) { return invert(n, m, out); }
FOR_1_TO_16(INVERT)

#define NAME(n) invert_##n,
static bool (*const sized[])(double *, double *) = {FOR_1_TO_16(NAME)};

bool matrix_inverse(size_t n, const double *a, double *out) {
    double m[MATRIX_LARGEST * MATRIX_LARGEST];
    memcpy(m, a, n * n * sizeof *m);
    return sized[n - 1](m, out);
}
