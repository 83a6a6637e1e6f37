/* Elimination with row pivots, for each size a copy of its own: solving and the determinant. */
#include "matrix/matrix.h"
#include "repeat.h"

#include <math.h>
#include <string.h>

static inline __attribute__((always_inline)) double eliminate(const int n, double *m, double *x) {
    double determinant = 1;
    for (int column = 0; column < n; column++) {
        int pivot = column;
        for (int row = column + 1; row < n; row++)
            if (fabs(m[row * n + column]) > fabs(m[pivot * n + column])) pivot = row;
        if (m[pivot * n + column] == 0) return 0;
        if (pivot != column) {
            for (int i = 0; i < n; i++) {
                double t = m[pivot * n + i];
                m[pivot * n + i] = m[column * n + i];
                m[column * n + i] = t;
            }
            double t = x[pivot];
            x[pivot] = x[column];
            x[column] = t;
            determinant = -determinant;
        }
        determinant *= m[column * n + column];
        for (int row = column + 1; row < n; row++) {
            double factor = m[row * n + column] / m[column * n + column];
            for (int i = column; i < n; i++) m[row * n + i] -= factor * m[column * n + i];
            x[row] -= factor * x[column];
        }
    }
    for (int row = n - 1; row >= 0; row--) {
        for (int i = row + 1; i < n; i++) x[row] -= m[row * n + i] * x[i];
        x[row] /= m[row * n + row];
    }
    return determinant;
}

#define ELIMINATE(n) \
    static double eliminate_##n(double *m, double *x) { return eliminate(n, m, x); }
FOR_1_TO_16(ELIMINATE)

#define NAME(n) eliminate_##n,
static double (*const sized[])(double *, double *) = {FOR_1_TO_16(NAME)};

bool matrix_solve(size_t n, const double *a, const double *b, double *x) {
    double m[MATRIX_LARGEST * MATRIX_LARGEST];
    memcpy(m, a, n * n * sizeof *m);
    memcpy(x, b, n * sizeof *x);
    return sized[n - 1](m, x) != 0;
}

double matrix_determinant(size_t n, const double *a) {
    double m[MATRIX_LARGEST * MATRIX_LARGEST], x[MATRIX_LARGEST] = {0};
    memcpy(m, a, n * n * sizeof *m);
    return sized[n - 1](m, x);
}
