/* The steps of the Collatz walk to 1; 0 for 0 and where a number outgrows 64 bits. It goes five (shortened) steps at
 * a time, which only the last five bits decide about: 32 q + r becomes 3^odd q + after. */
#include "numbers.h"
#include "repeat.h"

#define STEP(i) (((i) % 2 ? 3 * (i) + 1 : (i)) / 2)
#define STEP_2(i) STEP(STEP(i))
#define STEP_3(i) STEP(STEP_2(i))
#define STEP_4(i) STEP(STEP_3(i))
#define ODD(i) ((i) % 2 + STEP(i) % 2 + STEP_2(i) % 2 + STEP_3(i) % 2 + STEP_4(i) % 2)
#define ENTRY(i) {ODD(i), STEP(STEP_4(i))},

static const struct {
    uint8_t odd, after;
} jump[32] = {REPEAT_16(ENTRY, 0) REPEAT_16(ENTRY, 16)};

uint32_t num_collatz(uint64_t n) {
    static const uint64_t triple[] = {1, 3, 9, 27, 81, 243};
    uint32_t steps = 0;
    if (!n) return 0;
    while (n > 32) {
        uint64_t r = n % 32, q = n / 32;
        if (q > (UINT64_MAX - 255) / 243) return 0;
        n = triple[jump[r].odd] * q + jump[r].after;
        steps += 5 + jump[r].odd;
    }
    for (; n != 1; steps++) n = n % 2 ? 3 * n + 1 : n / 2;
    return steps;
}
