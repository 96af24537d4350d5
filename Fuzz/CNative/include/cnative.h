// Runs code on the host's own processor, in this process, with all registers given, until it faults.
// Only for x86-64 hosts, and for one thread at a time.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
  // RAX RCX RDX RBX RSP RBP RSI RDI R8 ... R15
  uint64_t registers[16];
  uint64_t rip;
  uint64_t flags;
  // The exception that ended it.
  uint64_t vector;
  uint64_t error;
  uint64_t address;
} cn_state;

// Catches the signals that exceptions are told by. False where the host refuses.
bool cn_prepare(void);

// Memory at exactly `address`, readable, writable and, on request, executable; NULL where something
// is there already.
void *cn_map(uint64_t address, size_t bytes, bool executable);
// What may be done with memory from now on: 0 nothing, 1 read.
bool cn_protect(void *memory, size_t bytes, int rights);

// Bytes of an FXSAVE image that a processor writes.
enum { CN_FPU_BYTES = 416 };

// Runs from `state->rip` on. The code ends by an exception, which it must come to. `fpu` is an FXSAVE
// image of 64-bit form that is loaded before and brought up to date afterwards; NULL: whatever.
void cn_run(cn_state *state, void *fpu);
