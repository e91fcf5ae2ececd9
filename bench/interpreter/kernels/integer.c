// Arithmetic in registers: SHA-256's compression (32-bit additions, rotations, logic), modular
// exponentiation (64-bit multiplication and division) and greatest common divisors (shifts).

#include <stdint.h>

static uint32_t rotate(uint32_t x, int n) { return x >> n | x << (32 - n); }

static void compress(uint32_t h[8], uint32_t w[16]) {
  uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f = h[5], g = h[6], i = h[7];
  uint32_t k = 0x428a2f98;
  for (int t = 0; t < 64; t++) {
    uint32_t x = w[t & 15];
    uint32_t s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
    uint32_t t1 = i + s1 + ((e & f) ^ (~e & g)) + k + x;
    uint32_t s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
    uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
    i = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    uint32_t y = w[(t + 1) & 15], z = w[(t + 14) & 15];
    w[t & 15] = x + (rotate(y, 7) ^ rotate(y, 18) ^ y >> 3) + w[(t + 9) & 15] +
                (rotate(z, 17) ^ rotate(z, 19) ^ z >> 10);
    k = k * 1664525 + 1013904223;
  }
  h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e, h[5] += f, h[6] += g, h[7] += i;
}

static uint64_t power(uint64_t base, uint64_t exponent, uint64_t modulus) {
  uint64_t result = 1;
  for (base %= modulus; exponent; exponent >>= 1) {
    if (exponent & 1) result = result * base % modulus;
    base = base * base % modulus;
  }
  return result;
}

static uint64_t divisor(uint64_t a, uint64_t b) {
  int shift = __builtin_ctzll(a | b);
  a >>= __builtin_ctzll(a);
  while (b) {
    b >>= __builtin_ctzll(b);
    if (a > b) { uint64_t t = a; a = b; b = t; }
    b -= a;
  }
  return a << shift;
}

uint64_t kernel(void) {
  uint32_t h[8] = {1, 2, 3, 4, 5, 6, 7, 8}, w[16];
  uint64_t sum = 0;
  for (uint32_t n = 1; n <= 20000; n++) {
    for (int i = 0; i < 16; i++) w[i] = n * 0x9e3779b9 + i;
    compress(h, w);
    sum = sum * 31 + power(h[0] + 2, h[1] >> 16, 0x7fffffff);
    sum ^= divisor((uint64_t)h[2] << 20 | 1, ((uint64_t)h[3] << 16) + 2);
  }
  return sum ^ ((uint64_t)h[4] << 32 | h[5]);
}
