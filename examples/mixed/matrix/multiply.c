/* One product for each size from 1 to 16: with constant bounds the compiler unrolls and vectorizes every one. */
#include "matrix/matrix.h"
#include "repeat.h"

#define MULTIPLY(n) \
    static void multiply_##n(const double *restrict a, const double *restrict b, double *restrict out) { \
        for (int i = 0; i < n; i++) { \
            double row[n] = {0}; \
            _Pragma("GCC unroll 8") for (int k = 0; k < n; k++) \
                _Pragma("GCC unroll 16") for (int j = 0; j < n; j++) row[j] += a[i * n + k] * b[k * n + j]; \
            for (int j = 0; j < n; j++) out[i * n + j] = row[j]; \
        } \
    }
FOR_1_TO_16(MULTIPLY)

#define NAME(n) multiply_##n,
static void (*const multiply[])(const double *, const double *, double *) = {FOR_1_TO_16(NAME)};

void matrix_multiply(size_t n, const double *a, const double *b, double *out) { multiply[n - 1](a, b, out); }
