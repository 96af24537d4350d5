// C shim for Display: libpng reports errors by longjmp, which Swift frames must not see.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { CPNG_MESSAGE_SIZE = 128 };

// Encodes pixels 0x00RRGGBB, rows without a gap. A picture of at most 256 colours is written with a
// palette, any other as 8-bit RGB. `level` is zlib's: 0 to 9.
// Returns a buffer to free() with its size, or NULL with a message.
uint8_t *cpng_encode(const uint32_t *pixels, int width, int height, int level, size_t *size,
                     char message[CPNG_MESSAGE_SIZE]);

// Decodes any PNG to pixels 0x00RRGGBB; alpha is composed on black. No side may exceed `limit`.
// Returns a buffer to free() with its sides, or NULL with a message.
uint32_t *cpng_decode(const uint8_t *data, size_t size, uint32_t limit, int *width, int *height,
                      char message[CPNG_MESSAGE_SIZE]);

// The zlib stream of a picture with alpha, as PNG's IDAT and APNG's fdAT have it: what is the same as
// in `before` is transparent, everything is opaque where that is NULL. Rows are `stride` pixels apart.
// Returns a buffer to free() with its size, or NULL where memory ran out.
uint8_t *cpng_deflate_changes(const uint32_t *pixels, const uint32_t *before, int stride, int width,
                              int height, int level, size_t *size);

// PNG's checksum of `count` bytes.
uint32_t cpng_crc(const uint8_t *bytes, size_t count);
