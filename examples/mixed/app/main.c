/* Calls every library once. What it prints must be ../expected/app.txt. */
#include "app/checks.h"

int main(void) {
    hash_checks();
    text_checks();
    store_checks();
    matrix_checks();
    return 0;
}
