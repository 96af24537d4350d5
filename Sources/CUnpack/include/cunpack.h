// C shim for Machine: the ways in which a Linux kernel's image is packed, one function each.
#pragma once
#include <stddef.h>
#include <stdint.h>

// Each unpacks `size` bytes at `packed` into at most `room` bytes at `bytes`. Bytes that follow the
// packed ones are ignored. Returns how many bytes came out, or -1 where the input is damaged, ends
// early or needs more room.

// RFC 1952.
int64_t cunpack_gzip(const uint8_t *packed, size_t size, uint8_t *bytes, size_t room);
// The .xz format, with or without the filter for x86 code.
int64_t cunpack_xz(const uint8_t *packed, size_t size, uint8_t *bytes, size_t room);
// The older .lzma format.
int64_t cunpack_lzma(const uint8_t *packed, size_t size, uint8_t *bytes, size_t room);
// RFC 8878.
int64_t cunpack_zstd(const uint8_t *packed, size_t size, uint8_t *bytes, size_t room);
// LZ4's legacy frames, which are what kernels use.
int64_t cunpack_lz4(const uint8_t *packed, size_t size, uint8_t *bytes, size_t room);
int64_t cunpack_bzip2(const uint8_t *packed, size_t size, uint8_t *bytes, size_t room);
