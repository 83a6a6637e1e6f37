/* Identities that hold for every size, and a few known values. */
#include "app/checks.h"
#include "matrix/matrix.h"

#include <math.h>
#include <stdio.h>

static bool equal(size_t n, const double *a, const double *b) {
    bool good = true;
    for (size_t i = 0; i < n * n; i++) good &= fabs(a[i] - b[i]) < 1e-9;
    return good;
}

void matrix_checks(void) {
    int solved = 0, turned = 0, inverted = 0, rooted = 0, orthogonal = 0;
    for (size_t n = 1; n <= MATRIX_LARGEST; n++) {
        double a[256], t[256], product[256], square[256], root[256], one[256], b[16] = {0}, x[16];
        for (size_t i = 0; i < n * n; i++) one[i] = i % (n + 1) == 0;
        for (size_t i = 0; i < n * n; i++) a[i] = (double)(i * 7 % 11) + (i % (n + 1) == 0 ? 40 : 0);
        for (size_t i = 0; i < n * n; i++) b[i / n] += a[i];
        bool good = matrix_solve(n, a, b, x);
        for (size_t i = 0; i < n; i++) good &= fabs(x[i] - 1) < 1e-9;
        solved += good;
        matrix_transpose(n, a, t);
        matrix_multiply(n, a, t, product);
        bool symmetric = true;
        for (size_t i = 0; i < n * n; i++) symmetric &= product[i] == product[i % n * n + i / n];
        turned += symmetric;

        /* The product is positive definite, so it has a root L with L * transposed(L) = product. */
        good = matrix_cholesky(n, product, root);
        matrix_transpose(n, root, t);
        matrix_multiply(n, root, t, square);
        rooted += good && equal(n, square, product);

        good = matrix_inverse(n, a, t);
        matrix_multiply(n, a, t, product);
        inverted += good && equal(n, product, one);

        good = matrix_orthogonal(n, a, root);
        matrix_transpose(n, root, t);
        matrix_multiply(n, t, root, product);
        orthogonal += good && equal(n, product, one);
    }
    printf("matrix: %d of 16 solved, %d of 16 products symmetric\n", solved, turned);
    printf("matrix: %d of 16 rooted, %d of 16 inverted, %d of 16 orthogonal\n", rooted, inverted, orthogonal);

    const double small[] = {2, 1, 0, 1, 3, 1, 0, 1, 4}, ones[17] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    printf("determinant: %.6f\n", matrix_determinant(3, small));
    printf("eigenvalue: %.6f\n", matrix_largest_eigenvalue(3, small));
    printf("polynomial: %.0f %.0f\n", poly_value(16, ones, 2), poly_value(4, ones, -3));

    for (size_t size = 8; size <= 64; size *= 2) {
        double re[64], im[64] = {0};
        for (size_t i = 0; i < size; i++) re[i] = cos(6.28318530717958647692 * 3 * (double)i / (double)size);
        fft(size, re, im);
        size_t peak = 0;
        for (size_t i = 0; i < size / 2; i++)
            if (hypot(re[i], im[i]) > hypot(re[peak], im[peak])) peak = i;
        printf("fft of %zu: peak at %zu of height %.3f\n", size, peak, hypot(re[peak], im[peak]));
    }

    float image[32 * 32] = {0}, out[32 * 32];
    image[16 * 32 + 16] = 1;
    for (size_t side = 3; side <= 9; side += 2) {
        box_blur(side, 32, 32, image, out);
        int touched = 0;
        for (int i = 0; i < 32 * 32; i++) touched += out[i] > 0;
        printf("blur by %zu: %d pixels\n", side, touched);
    }
}
