/* The eigenvalue of the largest magnitude, by power iteration. */
#include "matrix/matrix.h"

#include <math.h>

double matrix_largest_eigenvalue(size_t n, const double *a) {
    double v[MATRIX_LARGEST], value = 0;
    for (size_t i = 0; i < n; i++) v[i] = 1;
    for (int step = 0; step < 200; step++) {
        double w[MATRIX_LARGEST] = {0}, largest = 0;
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < n; j++) w[i] += a[i * n + j] * v[j];
        for (size_t i = 0; i < n; i++)
            if (fabs(w[i]) > fabs(largest)) largest = w[i];
        if (largest == 0) return 0;
        for (size_t i = 0; i < n; i++) v[i] = w[i] / largest;
        value = largest;
    }
    return value;
}
