/* The orthogonal factor of a matrix by the modified Gram-Schmidt process, its columns made from those of a; one copy of
 * the loops for each size from 1 to 16. */
#include "matrix/matrix.h"
#include "repeat.h"

#include <math.h>

static inline __attribute__((always_inline)) bool orthogonalize(const int n, double *restrict q) {
    for (int column = 0; column < n; column++) {
        for (int before = 0; before < column; before++) {
            double dot = 0;
#pragma GCC unroll 16
            for (int i = 0; i < n; i++) dot += q[i * n + before] * q[i * n + column];
#pragma GCC unroll 16
            for (int i = 0; i < n; i++) q[i * n + column] -= dot * q[i * n + before];
        }
        double length = 0;
#pragma GCC unroll 16
        for (int i = 0; i < n; i++) length += q[i * n + column] * q[i * n + column];
        length = sqrt(length);
        if (length < 1e-12) return false;
#pragma GCC unroll 16
        for (int i = 0; i < n; i++) q[i * n + column] /= length;
    }
    return true;
}

#define ORTHOGONALIZE(n) \
    static bool orthogonalize_##n(double *q) { return orthogonalize(n, q); }
FOR_1_TO_16(ORTHOGONALIZE)

#define NAME(n) orthogonalize_##n,
static bool (*const sized[])(double *) = {FOR_1_TO_16(NAME)};

bool matrix_orthogonal(size_t n, const double *a, double *out) {
    for (size_t i = 0; i < n * n; i++) out[i] = a[i];
    return sized[n - 1](out);
}
