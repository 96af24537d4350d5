#define _GNU_SOURCE
#include "cnative.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

// What the host's code needs back: the stack pointer, under which the other registers are.
__attribute__((visibility("hidden"))) uint64_t cn_host_stack;
static cn_state *current;
// The image to load and the host's own, and where to put what is found in the end.
static uint8_t image[512] __attribute__((aligned(64))), own[512] __attribute__((aligned(64)));
static void *result;
// What flags are loaded from, and the place that is jumped to without a register.
__attribute__((visibility("hidden"))) uint64_t cn_entry_flags, cn_entry_rip;

void cn_exit(void);

__asm__(
    ".text\n"
    ".globl cn_enter\n.hidden cn_enter\n"
    "cn_enter:\n"
    "  push %rbx\n  push %rbp\n  push %r12\n  push %r13\n  push %r14\n  push %r15\n"
    "  mov %rsp, cn_host_stack(%rip)\n"
    "  push cn_entry_flags(%rip)\n  popfq\n"
    "  mov 0(%rdi), %rax\n  mov 8(%rdi), %rcx\n  mov 16(%rdi), %rdx\n  mov 24(%rdi), %rbx\n"
    "  mov 32(%rdi), %rsp\n  mov 40(%rdi), %rbp\n  mov 48(%rdi), %rsi\n  mov 64(%rdi), %r8\n"
    "  mov 72(%rdi), %r9\n  mov 80(%rdi), %r10\n  mov 88(%rdi), %r11\n  mov 96(%rdi), %r12\n"
    "  mov 104(%rdi), %r13\n  mov 112(%rdi), %r14\n  mov 120(%rdi), %r15\n  mov 56(%rdi), %rdi\n"
    "  jmp *cn_entry_rip(%rip)\n"
    ".globl cn_exit\n.hidden cn_exit\n"
    "cn_exit:\n"
    "  pop %r15\n  pop %r14\n  pop %r13\n  pop %r12\n  pop %rbp\n  pop %rbx\n  ret\n");

void cn_enter(cn_state *state);

static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                              REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                              REG_R12, REG_R13, REG_R14, REG_R15};

// The vector state as the code left it; the host goes on with its own.
static void exchange_fpu(ucontext_t *context) {
  uint8_t *frame = (uint8_t *)context->uc_mcontext.fpregs;
  if (!result || !frame) return;
  memcpy(result, frame, CN_FPU_BYTES);
  memcpy(frame, own, CN_FPU_BYTES);
  // Of an XSAVE frame: both legacy components are in it (arch/x86/include/uapi/asm/sigcontext.h).
  uint32_t magic;
  memcpy(&magic, frame + 464, sizeof magic);
  if (magic == 0x46505853) frame[512] |= 3;
}

static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
enum { SIGNALS = sizeof signals / sizeof *signals };
static struct sigaction former[SIGNALS];

// Not ours: whoever had the signal before gets it, or the default does its work when the instruction
// is run again.
static void pass_on(int number, siginfo_t *info, void *context) {
  for (int i = 0; i < SIGNALS; i++) {
    if (signals[i] == number && former[i].sa_flags & SA_SIGINFO && former[i].sa_sigaction) {
      former[i].sa_sigaction(number, info, context);
      return;
    }
  }
  signal(number, SIG_DFL);
}

static void caught(int number, siginfo_t *info, void *context) {
  greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
  if (!current) {
    pass_on(number, info, context);
    return;
  }
  for (int i = 0; i < 16; i++) current->registers[i] = (uint64_t)r[order[i]];
  current->rip = (uint64_t)r[REG_RIP];
  current->flags = (uint64_t)r[REG_EFL];
  current->vector = (uint64_t)r[REG_TRAPNO];
  current->error = (uint64_t)r[REG_ERR];
  current->address = (uint64_t)r[REG_CR2];
  exchange_fpu(context);
  current = NULL;
  r[REG_RSP] = (greg_t)cn_host_stack;
  r[REG_RIP] = (greg_t)(uintptr_t)cn_exit;
  r[REG_EFL] = 0x202;
}

// The stack that signals are taken on belongs to a thread, and the case's own must stay as it is.
static bool give_stack(void) {
  static char stack[64 << 10];
  static _Thread_local bool is_given;
  stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
  if (!is_given) is_given = sigaltstack(&alternate, NULL) == 0;
  return is_given;
}

bool cn_prepare(void) {
  // A signal that was passed on may be left by a long jump, which does not unblock it.
  struct sigaction action = {.sa_sigaction = caught,
                             .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  for (int i = 0; i < SIGNALS; i++) {
    if (sigaction(signals[i], &action, &former[i]) != 0) return false;
  }
  return true;
}

void *cn_map(uint64_t address, size_t bytes, bool executable) {
  void *memory = mmap((void *)(uintptr_t)address, bytes,
                      PROT_READ | PROT_WRITE | (executable ? PROT_EXEC : 0),
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (memory == MAP_FAILED) return NULL;
  memset(memory, 0, bytes);
  return memory;
}

bool cn_protect(void *memory, size_t bytes, int rights) {
  return mprotect(memory, bytes, rights ? PROT_READ : PROT_NONE) == 0;
}

void cn_run(cn_state *state, void *fpu) {
  if (!give_stack()) return;
  result = fpu;
  if (fpu) {
    memcpy(image, fpu, CN_FPU_BYTES);
    __asm__ volatile("fxsave64 %0\n\tfxrstor64 %1" : "=m"(own) : "m"(image));
  }
  cn_entry_flags = (state->flags & 0xCD5) | 0x202;
  cn_entry_rip = state->rip;
  current = state;
  cn_enter(state);
}
