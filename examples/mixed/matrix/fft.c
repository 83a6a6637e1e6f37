/* The Fourier transform by decimation in time; the loops of each size are unrolled, its twiddle factors computed. */
#include "matrix/matrix.h"

#include <math.h>

#define SWAP(a, b) \
    do { \
        double t = a; \
        a = b; \
        b = t; \
    } while (0)

static inline __attribute__((always_inline)) void transform(const int size, double *re, double *im) {
    for (int i = 1, j = 0; i < size; i++) {
        int bit = size / 2;
        for (; j & bit; bit /= 2) j ^= bit;
        j |= bit;
        if (i < j) {
            SWAP(re[i], re[j]);
            SWAP(im[i], im[j]);
        }
    }
#pragma GCC unroll 8
    for (int half = 1; half < size; half *= 2) {
#pragma GCC unroll 32
        for (int k = 0; k < half; k++) {
            double angle = -3.14159265358979323846 * k / half;
            double c = cos(angle), s = sin(angle);
#pragma GCC unroll 8
            for (int i = k; i < size; i += 2 * half) {
                double x = re[i + half] * c - im[i + half] * s;
                double y = re[i + half] * s + im[i + half] * c;
                re[i + half] = re[i] - x;
                im[i + half] = im[i] - y;
                re[i] += x;
                im[i] += y;
            }
        }
    }
}

bool fft(size_t size, double *re, double *im) {
    switch (size) {
    case 8:
        transform(8, re, im);
        return true;
    case 16:
        transform(16, re, im);
        return true;
    case 32:
        transform(32, re, im);
        return true;
    case 64:
        transform(64, re, im);
        return true;
    default:
        return false;
    }
}
