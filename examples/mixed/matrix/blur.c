/* A box blur, one copy for each side of the box, so that its loops can be unrolled. */
#include "matrix/matrix.h"

#include <string.h>

static inline __attribute__((always_inline)) void blur(const int side, size_t width, size_t height,
                                                       const float *restrict in, float *restrict out) {
    const size_t edge = (size_t)side / 2;
    memcpy(out, in, width * height * sizeof *out);
    for (size_t y = edge; y + edge < height; y++)
        for (size_t x = edge; x + edge < width; x++) {
            float sum = 0;
#pragma GCC unroll 9
            for (int dy = 0; dy < side; dy++)
#pragma GCC unroll 9
                for (int dx = 0; dx < side; dx++) sum += in[(y - edge + dy) * width + x - edge + dx];
            out[y * width + x] = sum / (float)(side * side);
        }
}

bool box_blur(size_t side, size_t width, size_t height, const float *in, float *out) {
    switch (side) {
    case 3:
        blur(3, width, height, in, out);
        return true;
    case 5:
        blur(5, width, height, in, out);
        return true;
    case 7:
        blur(7, width, height, in, out);
        return true;
    case 9:
        blur(9, width, height, in, out);
        return true;
    default:
        return false;
    }
}
