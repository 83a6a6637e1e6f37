/* Small dense matrices and signals of doubles. */
#ifndef MIXED_MATRIX_H
#define MIXED_MATRIX_H

#include <stdbool.h>
#include <stddef.h>

/* Square matrices of n x n, row after row; n is 1 to 16. */
enum { MATRIX_LARGEST = 16 };
void matrix_multiply(size_t n, const double *a, const double *b, double *out);
void matrix_transpose(size_t n, const double *a, double *out);
bool matrix_solve(size_t n, const double *a, const double *b, double *x);
bool matrix_inverse(size_t n, const double *a, double *out);
bool matrix_cholesky(size_t n, const double *a, double *out);
bool matrix_orthogonal(size_t n, const double *a, double *out);
double matrix_determinant(size_t n, const double *a);
double matrix_largest_eigenvalue(size_t n, const double *a);

/* A value of the polynomial with the coefficients c[0] + c[1] x + ...; degree is 1 to 16. */
double poly_value(size_t degree, const double *c, double x);

/* In place; size is 8, 16, 32 or 64. */
bool fft(size_t size, double *re, double *im);

/* An image of width x height, blurred by a box of side x side; side is 3, 5, 7 or 9. The border stays. */
bool box_blur(size_t side, size_t width, size_t height, const float *in, float *out);

#endif
