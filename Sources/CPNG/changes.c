#include "cpng.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

// Deflates what is in `row`, and more room for it where that is short.
static int deflate_row(z_stream *stream, uint8_t **bytes, size_t *capacity, int flush) {
  for (;;) {
    int result = deflate(stream, flush);
    if (result == Z_STREAM_END) return Z_OK;
    if (result != Z_OK && result != Z_BUF_ERROR) return result;
    if (stream->avail_out > 0) return Z_OK;
    size_t grown = *capacity * 2;
    uint8_t *moved = realloc(*bytes, grown);
    if (!moved) return Z_MEM_ERROR;
    *bytes = moved;
    stream->next_out = moved + *capacity;
    stream->avail_out = (uInt)(grown - *capacity);
    *capacity = grown;
  }
}

// One row as PNG has it: no filter, then red, green, blue and alpha.
static void pack_changes(uint8_t *row, const uint32_t *pixels, const uint32_t *before, int width) {
  *row++ = 0;
  for (int x = 0; x < width; x++, row += 4) {
    uint32_t color = pixels[x] & 0xFFFFFF;
    if (before && (before[x] & 0xFFFFFF) == color) {
      memset(row, 0, 4);
    } else {
      row[0] = (uint8_t)(color >> 16), row[1] = (uint8_t)(color >> 8), row[2] = (uint8_t)color;
      row[3] = 255;
    }
  }
}

uint8_t *cpng_deflate_changes(const uint32_t *pixels, const uint32_t *before, int stride, int width,
                              int height, int level, size_t *size) {
  z_stream stream = {0};
  size_t length = (size_t)width * 4 + 1, capacity = 65536;
  uint8_t *row = malloc(length), *bytes = malloc(capacity);
  if (!row || !bytes || deflateInit(&stream, level) != Z_OK) {
    free(row);
    free(bytes);
    return NULL;
  }
  stream.next_out = bytes;
  stream.avail_out = (uInt)capacity;
  int result = Z_OK;
  for (int y = 0; y < height && result == Z_OK; y++) {
    size_t start = (size_t)y * (size_t)stride;
    pack_changes(row, pixels + start, before ? before + start : NULL, width);
    stream.next_in = row;
    stream.avail_in = (uInt)length;
    result = deflate_row(&stream, &bytes, &capacity, y == height - 1 ? Z_FINISH : Z_NO_FLUSH);
  }
  *size = capacity - stream.avail_out;
  deflateEnd(&stream);
  free(row);
  if (result == Z_OK) return bytes;
  free(bytes);
  return NULL;
}

uint32_t cpng_crc(const uint8_t *bytes, size_t count) {
  return (uint32_t)crc32_z(0, bytes, count);
}
