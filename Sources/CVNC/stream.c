#include "internal.h"

#include <stdlib.h>
#include <string.h>

uint8_t *bytes_room(struct bytes *bytes, size_t count) {
  if (bytes->capacity - bytes->size < count) {
    size_t capacity = bytes->capacity * 2 > bytes->size + count ? bytes->capacity * 2
                                                                : bytes->size + count;
    uint8_t *data = realloc(bytes->data, capacity);
    if (!data) return NULL;
    bytes->data = data;
    bytes->capacity = capacity;
  }
  return bytes->data + bytes->size;
}

void stream_free(struct stream *stream) {
  if (stream->made) deflateEnd(&stream->z);
  memset(stream, 0, sizeof *stream);
}

// The two bytes that a zlib stream begins with (RFC 1950, 2.2): deflate, a window of 32 KiB.
static bool begin(struct stream *stream, struct bytes *out) {
  if (stream->begun) return true;
  uint8_t *to = bytes_room(out, 2);
  if (!to) return false;
  to[0] = 0x78;
  to[1] = 0x01;
  out->size += 2;
  stream->begun = true;
  return true;
}

// Makes the deflater ready for `level`, with no history that the peer does not have.
static bool prepare(struct stream *stream, int level) {
  // zlib would write something at a change of the level; a new deflater begins with nothing.
  if (stream->made && stream->level != level) {
    deflateEnd(&stream->z);
    memset(&stream->z, 0, sizeof stream->z);
    stream->made = false;
  }
  if (!stream->made) {
    // Without zlib's own header and sum, so that other blocks can stand between its own.
    if (deflateInit2(&stream->z, level, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
      return false;
    stream->made = true;
    stream->level = level;
  } else if (stream->stale && deflateReset(&stream->z) != Z_OK) {
    return false;
  }
  stream->stale = false;
  return true;
}

bool stream_deflate(struct stream *stream, struct bytes *out, const uint8_t *data, size_t count,
                    int level) {
  if (!begin(stream, out) || !prepare(stream, level)) return false;
  z_stream *z = &stream->z;
  z->next_in = (Bytef *)data;
  z->avail_in = (uInt)count;
  do {
    size_t piece = count / 4 + 4096;
    uint8_t *to = bytes_room(out, piece);
    if (!to) return false;
    z->next_out = to;
    z->avail_out = (uInt)piece;
    int result = deflate(z, Z_SYNC_FLUSH);
    if (result != Z_OK && result != Z_BUF_ERROR) return false;
    out->size += piece - z->avail_out;
  } while (z->avail_out == 0);
  return true;
}

// Stored blocks (RFC 1951, 3.2.4): the stream stands at a byte boundary after every rectangle.
bool stream_store(struct stream *stream, struct bytes *out, const uint8_t *data, size_t count) {
  if (!begin(stream, out)) return false;
  stream->stale = true;
  while (count) {
    size_t piece = count < 65535 ? count : 65535;
    uint8_t *to = bytes_room(out, piece + 5);
    if (!to) return false;
    *to++ = 0;
    *to++ = (uint8_t)piece;
    *to++ = (uint8_t)(piece >> 8);
    *to++ = (uint8_t)~piece;
    *to++ = (uint8_t)(~piece >> 8);
    memcpy(to, data, piece);
    out->size += piece + 5;
    data += piece;
    count -= piece;
  }
  return true;
}

enum { PIECE = 256, SLOTS = 4096 };

bool area_is_noise(const struct area *area) {
  int width = area->width < PIECE ? area->width : PIECE;
  int rows = area->height < 4 ? area->height : 4;
  int total = width * rows;
  if (total < PIECE) return false;
  uint32_t counts[256] = {0};
  uint32_t seen[SLOTS];
  memset(seen, 0xFF, sizeof seen);
  int repeated = 0;
  for (int i = 0; i < rows; i++) {
    // Rows from all over the area, each from another part of its width.
    int y = area->height * i / rows, x = (area->width - width) * i / rows;
    const uint32_t *row = area->pixels + (size_t)y * area->stride + x;
    for (int j = 0; j < width; j++) {
      uint32_t color = row[j];
      uint32_t slot = (color * 0x9E3779B1u) >> 20;
      repeated += seen[slot] == color;
      seen[slot] = color;
      counts[color & 0xFF]++;
      counts[color >> 8 & 0xFF]++;
      counts[color >> 16 & 0xFF]++;
    }
    if (i == 0 && repeated * 8 > width) return false;
  }
  if (repeated * 8 > total) return false;
  // How often two bytes are the same: once in 256 where nothing is to be gained.
  uint64_t same = 0, all = (uint64_t)total * 3;
  for (int i = 0; i < 256; i++) same += (uint64_t)counts[i] * counts[i];
  return same * 180 < all * all + all * 180;
}

bool cvnc_is_noise(const uint32_t *pixels, int width, int height) {
  struct area area = {.pixels = pixels, .stride = (size_t)width, .width = width, .height = height};
  return area_is_noise(&area);
}
