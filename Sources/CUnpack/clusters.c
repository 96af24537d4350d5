#include "cunpack.h"

#include <limits.h>
#include <zlib.h>
#include <zstd.h>

// QEMU docs/interop/qcow2.rst, "Compressed clusters": raw deflate with a window of 4 KiB.
enum { deflate_window = -12, deflate_memory = 9, zstd_level = 3 };

int64_t cunpack_deflate(const uint8_t *packed, size_t size, uint8_t *bytes, size_t room) {
  if (size > UINT_MAX || room > UINT_MAX) return -1;
  z_stream stream = {.next_in = (Bytef *)packed, .avail_in = (uInt)size, .next_out = bytes,
                     .avail_out = (uInt)room};
  if (inflateInit2(&stream, deflate_window) != Z_OK) return -1;
  inflate(&stream, Z_FINISH);
  // A stream may go on behind what is wanted of it.
  int64_t count = (int64_t)stream.total_out;
  inflateEnd(&stream);
  return count;
}

int64_t cunpack_pack_deflate(const uint8_t *bytes, size_t size, uint8_t *packed, size_t room) {
  if (size > UINT_MAX || room > UINT_MAX) return -1;
  z_stream stream = {.next_in = (Bytef *)bytes, .avail_in = (uInt)size, .next_out = packed,
                     .avail_out = (uInt)room};
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, deflate_window, deflate_memory,
                   Z_DEFAULT_STRATEGY) != Z_OK)
    return -1;
  int end = deflate(&stream, Z_FINISH);
  int64_t count = (int64_t)stream.total_out;
  deflateEnd(&stream);
  return end == Z_STREAM_END ? count : -1;
}

int64_t cunpack_pack_zstd(const uint8_t *bytes, size_t size, uint8_t *packed, size_t room) {
  size_t count = ZSTD_compress(packed, room, bytes, size, zstd_level);
  return ZSTD_isError(count) ? -1 : (int64_t)count;
}
