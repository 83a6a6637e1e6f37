/* Repeats a macro for tables and for families of functions that the preprocessor writes. */
#ifndef MIXED_REPEAT_H
#define MIXED_REPEAT_H

#define REPEAT_4(M, i) M((i)) M((i) + 1) M((i) + 2) M((i) + 3)
#define REPEAT_16(M, i) REPEAT_4(M, i) REPEAT_4(M, (i) + 4) REPEAT_4(M, (i) + 8) REPEAT_4(M, (i) + 12)
#define REPEAT_64(M, i) REPEAT_16(M, i) REPEAT_16(M, (i) + 16) REPEAT_16(M, (i) + 32) REPEAT_16(M, (i) + 48)
#define REPEAT_256(M, i) REPEAT_64(M, i) REPEAT_64(M, (i) + 64) REPEAT_64(M, (i) + 128) REPEAT_64(M, (i) + 192)
#define REPEAT_1024(M, i) REPEAT_256(M, i) REPEAT_256(M, (i) + 256) REPEAT_256(M, (i) + 512) REPEAT_256(M, (i) + 768)
#define REPEAT_4096(M, i) \
    REPEAT_1024(M, i) REPEAT_1024(M, (i) + 1024) REPEAT_1024(M, (i) + 2048) REPEAT_1024(M, (i) + 3072)

/* Plain numbers, to paste into names. */
#define FOR_1_TO_8(M) M(1) M(2) M(3) M(4) M(5) M(6) M(7) M(8)
#define FOR_1_TO_16(M) FOR_1_TO_8(M) M(9) M(10) M(11) M(12) M(13) M(14) M(15) M(16)

#endif
