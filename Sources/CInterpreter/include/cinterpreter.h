// The host's own arithmetic for the interpreter: guest and host share the instruction set, so a
// flag is what the host's instruction leaves. Only for x86-64 hosts.
//
// Flags travel as LAHF and SETO give them: bit 0 is OF, bits 8 to 15 are SF ZF - AF - PF - CF.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CI_INLINE static inline __attribute__((always_inline))

#define CI_ALU2(NAME, INSN, T)                                                                   \
  CI_INLINE T NAME(T a, T b, uint16_t *f) {                                                       \
    uint16_t x;                                                                                  \
    __asm__(INSN " %2, %0\n\tseto %%al\n\tlahf" : "+r"(a), "=&a"(x) : "r"(b) : "cc");             \
    *f = x;                                                                                      \
    return a;                                                                                    \
  }
#define CI_ALU2_CARRY(NAME, INSN, T)                                                             \
  CI_INLINE T NAME(T a, T b, uint16_t *f) {                                                       \
    uint16_t x = *f;                                                                             \
    __asm__("addb $127, %%al\n\tsahf\n\t" INSN " %2, %0\n\tseto %%al\n\tlahf"                     \
            : "+&r"(a), "+&a"(x) : "r"(b) : "cc");                                                \
    *f = x;                                                                                      \
    return a;                                                                                    \
  }
#define CI_ALU1(NAME, INSN, T)                                                                   \
  CI_INLINE T NAME(T a, uint16_t *f) {                                                            \
    uint16_t x;                                                                                  \
    __asm__(INSN " %0\n\tseto %%al\n\tlahf" : "+r"(a), "=&a"(x) : : "cc");                       \
    *f = x;                                                                                      \
    return a;                                                                                    \
  }
// INC and DEC keep CF.
#define CI_ALU1_KEEP(NAME, INSN, T)                                                              \
  CI_INLINE T NAME(T a, uint16_t *f) {                                                            \
    uint16_t x;                                                                                  \
    __asm__(INSN " %0\n\tseto %%al\n\tlahf" : "+r"(a), "=&a"(x) : : "cc");                       \
    *f = (uint16_t)((x & ~0x100) | (*f & 0x100));                                                \
    return a;                                                                                    \
  }
// Shifts by a count that is not 0 set all flags (or leave them undefined).
#define CI_SHIFT_ALL(NAME, INSN, T)                                                              \
  CI_INLINE T NAME(T a, uint8_t count, uint16_t *f) {                                             \
    uint16_t x;                                                                                  \
    __asm__(INSN " %%cl, %0\n\tseto %%al\n\tlahf" : "+r"(a), "=&a"(x) : "c"(count) : "cc");      \
    *f = x;                                                                                      \
    return a;                                                                                    \
  }
#define CI_SHIFT(NAME, INSN, T)                                                                  \
  CI_INLINE T NAME(T a, uint8_t count, uint16_t *f) {                                             \
    uint16_t x = *f;                                                                             \
    __asm__("addb $127, %%al\n\tsahf\n\t" INSN " %%cl, %0\n\tseto %%al\n\tlahf"                   \
            : "+&r"(a), "+&a"(x) : "c"(count) : "cc");                                            \
    *f = x;                                                                                      \
    return a;                                                                                    \
  }
#define CI_DOUBLE_SHIFT(NAME, INSN, T)                                                           \
  CI_INLINE T NAME(T a, T b, uint8_t count, uint16_t *f) {                                        \
    uint16_t x = *f;                                                                             \
    __asm__("addb $127, %%al\n\tsahf\n\t" INSN " %%cl, %2, %0\n\tseto %%al\n\tlahf"               \
            : "+&r"(a), "+&a"(x) : "r"(b), "c"(count) : "cc");                                    \
    *f = x;                                                                                      \
    return a;                                                                                    \
  }

#define CI_WIDTH(W, S, T)                                                                        \
  CI_ALU2(ci_add##W, "add" S, T)                                                                 \
  CI_ALU2(ci_or##W, "or" S, T)                                                                   \
  CI_ALU2(ci_and##W, "and" S, T)                                                                 \
  CI_ALU2(ci_sub##W, "sub" S, T)                                                                 \
  CI_ALU2(ci_xor##W, "xor" S, T)                                                                 \
  CI_ALU2_CARRY(ci_adc##W, "adc" S, T)                                                           \
  CI_ALU2_CARRY(ci_sbb##W, "sbb" S, T)                                                           \
  CI_ALU1_KEEP(ci_inc##W, "inc" S, T)                                                           \
  CI_ALU1_KEEP(ci_dec##W, "dec" S, T)                                                           \
  CI_ALU1(ci_neg##W, "neg" S, T)                                                           \
  CI_SHIFT(ci_rol##W, "rol" S, T)                                                                \
  CI_SHIFT(ci_ror##W, "ror" S, T)                                                                \
  CI_SHIFT(ci_rcl##W, "rcl" S, T)                                                                \
  CI_SHIFT(ci_rcr##W, "rcr" S, T)                                                                \
  CI_SHIFT_ALL(ci_shl##W, "shl" S, T)                                                                \
  CI_SHIFT_ALL(ci_shr##W, "shr" S, T)                                                                \
  CI_SHIFT_ALL(ci_sar##W, "sar" S, T)                                                                \
  CI_INLINE bool ci_cas##W(void *p, T *old, T value) {                                            \
    return __atomic_compare_exchange_n((T *)p, old, value, 0, __ATOMIC_SEQ_CST,                   \
                                       __ATOMIC_SEQ_CST);                                        \
  }                                                                                              \
  CI_INLINE T ci_swap##W(void *p, T value) {                                                      \
    return __atomic_exchange_n((T *)p, value, __ATOMIC_SEQ_CST);                                  \
  }

CI_WIDTH(8, "b", uint8_t)
CI_WIDTH(16, "w", uint16_t)
CI_WIDTH(32, "l", uint32_t)
CI_WIDTH(64, "q", uint64_t)
CI_DOUBLE_SHIFT(ci_shld16, "shldw", uint16_t)
CI_DOUBLE_SHIFT(ci_shld32, "shldl", uint32_t)
CI_DOUBLE_SHIFT(ci_shld64, "shldq", uint64_t)
CI_DOUBLE_SHIFT(ci_shrd16, "shrdw", uint16_t)
CI_DOUBLE_SHIFT(ci_shrd32, "shrdl", uint32_t)
CI_DOUBLE_SHIFT(ci_shrd64, "shrdq", uint64_t)

// LOCK CMPXCHG16B at the 16-byte aligned `p`; `old` gets what was there.
bool ci_cas128(void *p, uint64_t old[2], const uint64_t value[2]);

CI_INLINE uint64_t ci_rdtsc(void) {
  uint32_t low, high;
  __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
  return (uint64_t)high << 32 | low;
}

CI_INLINE void ci_pause(void) { __asm__ volatile("pause"); }

CI_INLINE void ci_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

// CRC32 (SSE 4.2) of the `bytes` (1, 2, 4 or 8) lowest bytes of `value`.
uint32_t ci_crc32(uint32_t crc, uint64_t value, int bytes);

void ci_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4]);
bool ci_rdrand(uint64_t *value);

// Memory for native code, readable, writable and executable; NULL where the host refuses.
void *ci_make_code(size_t bytes);
void ci_free_code(void *code, size_t bytes);

// Calls a stub as `void stub(state, memory, registers)`.
CI_INLINE void ci_call(const void *stub, void *state, void *memory, void *registers) {
  ((void (*)(void *, void *, void *))stub)(state, memory, registers);
}

// Whether the host executes the stub: false where it raises an illegal-instruction signal. It is run
// once, on state, memory and registers that nobody needs.
bool ci_can_run(const void *stub, void *state, void *memory, void *registers);

// XCR0 of the host; 0 where it has no XSAVE.
uint64_t ci_host_xcr0(void);
bool ci_rdseed(uint64_t *value);

// Sleeps until a signal comes, one of `bits` is set in `word`, or so many microseconds are over (0:
// no matter how many); returns soon after any of these.
void ci_sleep(const uint32_t *word, uint32_t bits, uint32_t microseconds);
