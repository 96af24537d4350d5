// C shim for Machine and Storage: the ways in which a Linux kernel's image and a disk image's clusters
// are packed, one function each.
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

// A cluster of a qcow2 image, raw deflate (RFC 1951) with a window of 4 KiB. What came out before any
// damage counts.
int64_t cunpack_deflate(const uint8_t *packed, size_t size, uint8_t *bytes, size_t room);

// Each packs `size` bytes at `bytes` into at most `room` bytes at `packed`. Returns how many there
// are, or -1 where they have no room.
int64_t cunpack_pack_deflate(const uint8_t *bytes, size_t size, uint8_t *packed, size_t room);
int64_t cunpack_pack_zstd(const uint8_t *bytes, size_t size, uint8_t *packed, size_t room);
