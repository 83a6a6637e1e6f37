/* One function for each library; each prints lines of `name: value`. */
#ifndef MIXED_CHECKS_H
#define MIXED_CHECKS_H

void hash_checks(void);
void text_checks(void);
void store_checks(void);
void matrix_checks(void);

#endif
