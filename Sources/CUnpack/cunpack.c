#include "cunpack.h"

#include <bzlib.h>
#include <limits.h>
#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

int64_t cunpack_gzip(const uint8_t *packed, size_t size, uint8_t *bytes, size_t room) {
  enum { gzip_window = 16 + MAX_WBITS };
  if (size > UINT_MAX || room > UINT_MAX) return -1;
  z_stream stream = {.next_in = (Bytef *)packed, .avail_in = (uInt)size, .next_out = bytes,
                     .avail_out = (uInt)room};
  if (inflateInit2(&stream, gzip_window) != Z_OK) return -1;
  int end = inflate(&stream, Z_FINISH);
  int64_t count = (int64_t)stream.total_out;
  inflateEnd(&stream);
  return end == Z_STREAM_END ? count : -1;
}

// Runs a decoder that was set up in `stream`.
static int64_t run_lzma(lzma_stream *stream, const uint8_t *packed, size_t size, uint8_t *bytes,
                        size_t room) {
  stream->next_in = packed;
  stream->avail_in = size;
  stream->next_out = bytes;
  stream->avail_out = room;
  lzma_ret end = lzma_code(stream, LZMA_FINISH);
  int64_t count = (int64_t)stream->total_out;
  lzma_end(stream);
  return end == LZMA_STREAM_END ? count : -1;
}

int64_t cunpack_xz(const uint8_t *packed, size_t size, uint8_t *bytes, size_t room) {
  lzma_stream stream = LZMA_STREAM_INIT;
  if (lzma_stream_decoder(&stream, UINT64_MAX, 0) != LZMA_OK) return -1;
  return run_lzma(&stream, packed, size, bytes, room);
}

int64_t cunpack_lzma(const uint8_t *packed, size_t size, uint8_t *bytes, size_t room) {
  lzma_stream stream = LZMA_STREAM_INIT;
  if (lzma_alone_decoder(&stream, UINT64_MAX) != LZMA_OK) return -1;
  return run_lzma(&stream, packed, size, bytes, room);
}

int64_t cunpack_zstd(const uint8_t *packed, size_t size, uint8_t *bytes, size_t room) {
  size_t frame = ZSTD_findFrameCompressedSize(packed, size);
  if (ZSTD_isError(frame)) return -1;
  size_t count = ZSTD_decompress(bytes, room, packed, frame);
  return ZSTD_isError(count) ? -1 : (int64_t)count;
}

static uint32_t little_endian(const uint8_t *bytes) {
  return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

int64_t cunpack_lz4(const uint8_t *packed, size_t size, uint8_t *bytes, size_t room) {
  // A magic number, then blocks of their packed size and their bytes, each 8 MiB unpacked but the
  // last (LZ4 Frame Format Description, "Legacy frame").
  enum { block_room = 8 << 20, word = 4 };
  if (size < word) return -1;
  size_t at = word, done = 0;
  while (size - at >= word) {
    uint32_t block = little_endian(packed + at);
    at += word;
    if (block == 0 || block > size - at || block > INT_MAX) return -1;
    size_t left = room - done < block_room ? room - done : block_room;
    int count = LZ4_decompress_safe((const char *)packed + at, (char *)bytes + done, (int)block,
                                    (int)left);
    if (count < 0) return -1;
    done += (size_t)count;
    at += block;
    if (count < block_room) break;
  }
  return (int64_t)done;
}

int64_t cunpack_bzip2(const uint8_t *packed, size_t size, uint8_t *bytes, size_t room) {
  if (size > UINT_MAX || room > UINT_MAX) return -1;
  unsigned count = (unsigned)room;
  int end = BZ2_bzBuffToBuffDecompress((char *)bytes, &count, (char *)packed, (unsigned)size, 0, 0);
  return end == BZ_OK ? (int64_t)count : -1;
}
