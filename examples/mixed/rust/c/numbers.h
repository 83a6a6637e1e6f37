/* Number theory on plain integers. Every function is defined for every argument. */
#ifndef MIXED_NUMBERS_H
#define MIXED_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint64_t num_gcd(uint64_t a, uint64_t b);
uint64_t num_power_mod(uint64_t base, uint64_t exponent, uint64_t modulus);
bool num_is_prime(uint64_t n);
size_t num_sieve(uint8_t *composite, size_t length);
uint64_t num_totient(uint64_t n);
uint64_t num_divisors(uint64_t n);
uint64_t num_sqrt(uint64_t n);
uint64_t num_fibonacci(uint32_t n);
uint64_t num_binomial(uint32_t n, uint32_t k);
uint64_t num_partitions(uint32_t n);
uint64_t num_catalan(uint32_t n);
uint32_t num_collatz(uint64_t n);

#endif
