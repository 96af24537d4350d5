// The guest programs that are built into the binary: bootable floppy images of our own.
#pragma once
#include <stddef.h>
#include <stdint.h>

struct guest {
  const char *name;     // as `--guest` takes it
  const char *purpose;  // one line
  const uint8_t *start; // what is assembled of it, a boot sector first
  const uint8_t *end;   // a multiple of 512 bytes further on
};

// All guests, guest_count() of them; NULL beyond.
const struct guest *guest_at(size_t index);
size_t guest_count(void);
// NULL where no guest has that name.
const struct guest *guest_find(const char *name);
// Bytes that guest_copy() writes, a multiple of 512.
size_t guest_size(const struct guest *guest);
// The floppy's first bytes. `scene` counts as guest_scene() does, 0 where there are none; guests with
// scenes take a size of the screen, 0 and 0 where they choose.
void guest_copy(const struct guest *guest, unsigned scene, unsigned width, unsigned height,
                uint8_t *image);
// The name of what a guest can begin with; NULL beyond the last one.
const char *guest_scene(const struct guest *guest, unsigned index);
