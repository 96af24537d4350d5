#define _GNU_SOURCE
#include "cinterpreter.h"

#include <cpuid.h>
#include <linux/futex.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

bool ci_cas128(void *p, uint64_t old[2], const uint64_t value[2]) {
  bool done;
  __asm__ volatile("lock cmpxchg16b %1\n\tsete %0"
                   : "=q"(done), "+m"(*(__int128 *)p), "+a"(old[0]), "+d"(old[1])
                   : "b"(value[0]), "c"(value[1])
                   : "cc", "memory");
  return done;
}

__attribute__((target("sse4.2"))) uint32_t ci_crc32(uint32_t crc, uint64_t value, int bytes) {
  uint64_t wide = crc;
  switch (bytes) {
  case 1: __asm__("crc32b %b1, %k0" : "+r"(wide) : "q"(value)); break;
  case 2: __asm__("crc32w %w1, %k0" : "+r"(wide) : "r"(value)); break;
  case 4: __asm__("crc32l %k1, %k0" : "+r"(wide) : "r"(value)); break;
  default: __asm__("crc32q %1, %0" : "+r"(wide) : "r"(value)); break;
  }
  return (uint32_t)wide;
}

void ci_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4]) {
  __cpuid_count(leaf, subleaf, out[0], out[1], out[2], out[3]);
}

bool ci_rdrand(uint64_t *value) {
  unsigned char done;
  __asm__ volatile("rdrand %0\n\tsetc %1" : "=r"(*value), "=q"(done) : : "cc");
  return done;
}

__attribute__((target("rdseed"))) bool ci_rdseed(uint64_t *value) {
  unsigned char done;
  __asm__ volatile("rdseed %0\n\tsetc %1" : "=r"(*value), "=q"(done) : : "cc");
  return done;
}

uint64_t ci_host_xcr0(void) {
  uint32_t a, b, c, d;
  __cpuid(1, a, b, c, d);
  if (!(c & 1u << 27)) return 0;
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t)high << 32 | low;
}

static _Thread_local jmp_buf *probe;
static struct sigaction former;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void on_illegal(int number, siginfo_t *info, void *context) {
  if (probe) longjmp(*probe, 1);
  // Not a probe's: whoever had the signal before gets it, or the default does its work when the
  // instruction is run again.
  if (former.sa_flags & SA_SIGINFO && former.sa_sigaction) {
    former.sa_sigaction(number, info, context);
  } else if (former.sa_handler != SIG_DFL && former.sa_handler != SIG_IGN) {
    former.sa_handler(number);
  } else {
    signal(SIGILL, SIG_DFL);
  }
}

static void watch_illegal(void) {
  struct sigaction action = {.sa_sigaction = on_illegal,
                             .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK};
  sigemptyset(&action.sa_mask);
  sigaction(SIGILL, &action, &former);
}

bool ci_can_run(const void *stub, void *state, void *memory, void *registers) {
  pthread_once(&once, watch_illegal);
  jmp_buf back;
  probe = &back;
  // SA_NODEFER leaves the signal unblocked, so the mask need not be restored.
  volatile bool runs = false;
  if (setjmp(back) == 0) {
    ci_call(stub, state, memory, registers);
    runs = true;
  }
  probe = NULL;
  return runs;
}

void *ci_make_code(size_t bytes) {
  void *code = mmap(0, bytes, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return code == MAP_FAILED ? 0 : code;
}

void ci_free_code(void *code, size_t bytes) { munmap(code, bytes); }

void ci_sleep(const uint32_t *word, uint32_t bits, uint32_t microseconds) {
  // A wake-up between the look and the sleep is not lost: the word then differs, and so it does when
  // the system call is restarted after a signal, whose handler changes the word.
  uint32_t value = __atomic_load_n(word, __ATOMIC_SEQ_CST);
  struct timespec most = {microseconds / 1000000, microseconds % 1000000 * 1000};
  if ((value & bits) == 0) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, microseconds ? &most : NULL, NULL, 0);
  }
}
