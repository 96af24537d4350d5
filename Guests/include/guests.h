// The guest programs that are built into the binary: bootable floppy images of our own.
#pragma once
#include <stddef.h>
#include <stdint.h>

struct guest {
  const char *name;     // as `--guest` takes it
  const char *purpose;  // one line
  const uint8_t *start; // the floppy's first bytes, a boot sector first
  const uint8_t *end;   // a multiple of 512 bytes further on
};

// All guests, guest_count() of them; NULL beyond.
const struct guest *guest_at(size_t index);
size_t guest_count(void);
// NULL where no guest has that name.
const struct guest *guest_find(const char *name);
