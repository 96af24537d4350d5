// Tiles of ZRLE: each is one colour, packed palette indices, runs, or its pixels, whichever is
// shortest before compression (RFC 6143, 7.7.5 and 7.7.6).
#include "internal.h"

#include <string.h>

enum { SIDE = 64, MOST_COLORS = 127, SLOTS = 512, EMPTY = -1 };
enum { SOLID = 1, PLAIN_RLE = 128 };

struct tile {
  uint32_t pixels[SIDE * SIDE];
  int count, width;
  // The colours by open addressing, and in the order in which they came.
  uint32_t key[SLOTS];
  int16_t index[SLOTS];
  uint32_t colors[MOST_COLORS];
  int color_count;  // above MOST_COLORS: too many
  // Runs of equal pixels, those of one pixel among them, and bytes for the lengths of all others.
  int runs, singles;
  size_t lengths;
};

static int slot_of(const struct tile *tile, uint32_t color) {
  int slot = (int)((color * 0x9E3779B1u) >> 23);
  while (tile->index[slot] != EMPTY && tile->key[slot] != color) slot = (slot + 1) % SLOTS;
  return slot;
}

static void add_color(struct tile *tile, uint32_t color) {
  if (tile->color_count > MOST_COLORS) return;
  int slot = slot_of(tile, color);
  if (tile->index[slot] != EMPTY) return;
  if (tile->color_count < MOST_COLORS) {
    tile->key[slot] = color;
    tile->index[slot] = (int16_t)tile->color_count;
    tile->colors[tile->color_count] = color;
  }
  tile->color_count++;
}

static uint32_t swap(uint32_t color) {
  return (color & 0xFF) << 16 | (color & 0xFF00) | (color >> 16 & 0xFF);
}

static void load(struct tile *tile, const struct area *area, int x, int y, int width, int height) {
  tile->width = width;
  tile->count = width * height;
  for (int row = 0; row < height; row++) {
    const uint32_t *from = area->pixels + (size_t)(y + row) * area->stride + x;
    uint32_t *to = tile->pixels + row * width;
    if (area->swapped)
      for (int i = 0; i < width; i++) to[i] = swap(from[i]);
    else
      memcpy(to, from, (size_t)width * 4);
  }
}

// The end of the run that begins at `start`.
static int run_end(const struct tile *tile, int start) {
  int end = start + 1;
  while (end < tile->count && tile->pixels[end] == tile->pixels[start]) end++;
  return end;
}

static size_t length_bytes(int length) { return (size_t)(length - 1) / 255 + 1; }

static void analyse(struct tile *tile) {
  memset(tile->index, 0xFF, sizeof tile->index);
  tile->color_count = tile->runs = tile->singles = 0;
  tile->lengths = 0;
  for (int start = 0, end; start < tile->count; start = end) {
    end = run_end(tile, start);
    add_color(tile, tile->pixels[start]);
    tile->runs++;
    if (end - start == 1)
      tile->singles++;
    else
      tile->lengths += length_bytes(end - start);
  }
}

static uint8_t *put_color(uint8_t *to, uint32_t color) {
  *to++ = (uint8_t)color;
  *to++ = (uint8_t)(color >> 8);
  *to++ = (uint8_t)(color >> 16);
  return to;
}

static uint8_t *put_length(uint8_t *to, int length) {
  for (length--; length >= 255; length -= 255) *to++ = 255;
  *to++ = (uint8_t)length;
  return to;
}

static uint8_t *put_raw(uint8_t *to, const struct tile *tile) {
  *to++ = 0;
  for (int i = 0; i < tile->count; i++) to = put_color(to, tile->pixels[i]);
  return to;
}

static uint8_t *put_palette(uint8_t *to, const struct tile *tile) {
  for (int i = 0; i < tile->color_count; i++) to = put_color(to, tile->colors[i]);
  return to;
}

static int bits_of(int colors) { return colors <= 2 ? 1 : colors <= 4 ? 2 : 4; }

static uint8_t *put_packed(uint8_t *to, const struct tile *tile) {
  int bits = bits_of(tile->color_count);
  *to++ = (uint8_t)tile->color_count;
  to = put_palette(to, tile);
  uint32_t last = tile->pixels[0];
  unsigned index = 0;
  for (int row = 0; row < tile->count; row += tile->width) {
    unsigned gathered = 0;
    int held = 0;
    for (int i = row; i < row + tile->width; i++) {
      if (tile->pixels[i] != last) {
        last = tile->pixels[i];
        index = (unsigned)tile->index[slot_of(tile, last)];
      }
      gathered = gathered << bits | index;
      held += bits;
      if (held == 8) {
        *to++ = (uint8_t)gathered;
        held = 0;
      }
    }
    if (held) *to++ = (uint8_t)(gathered << (8 - held));
  }
  return to;
}

static uint8_t *put_runs(uint8_t *to, const struct tile *tile, bool palette) {
  *to++ = (uint8_t)(PLAIN_RLE + (palette ? tile->color_count : 0));
  if (palette) to = put_palette(to, tile);
  for (int start = 0, end; start < tile->count; start = end) {
    end = run_end(tile, start);
    if (!palette) {
      to = put_length(put_color(to, tile->pixels[start]), end - start);
      continue;
    }
    int index = tile->index[slot_of(tile, tile->pixels[start])];
    *to++ = (uint8_t)(index | (end - start > 1 ? 128 : 0));
    if (end - start > 1) to = put_length(to, end - start);
  }
  return to;
}

// At most a byte more than the pixels.
static uint8_t *put_tile(uint8_t *to, struct tile *tile) {
  analyse(tile);
  if (tile->color_count == 1) {
    *to++ = SOLID;
    return put_color(to, tile->pixels[0]);
  }
  size_t best = (size_t)tile->count * 3;
  enum { PIXELS, PACKED, RUNS, PALETTE_RUNS } kind = PIXELS;
  size_t plain = (size_t)tile->runs * 3 + (size_t)tile->singles + tile->lengths;
  if (plain < best) {
    best = plain;
    kind = RUNS;
  }
  if (tile->color_count <= MOST_COLORS) {
    size_t colors = (size_t)tile->color_count * 3;
    size_t runs = colors + (size_t)tile->runs + tile->lengths;
    if (runs < best) {
      best = runs;
      kind = PALETTE_RUNS;
    }
    size_t row = ((size_t)tile->width * (size_t)bits_of(tile->color_count) + 7) / 8;
    size_t packed = colors + row * (size_t)(tile->count / tile->width);
    // Packed rows compress better than runs of the same size.
    if (tile->color_count <= 16 && packed < best + best / 2 && packed < (size_t)tile->count * 3)
      kind = PACKED;
  }
  switch (kind) {
    case PIXELS: return put_raw(to, tile);
    case PACKED: return put_packed(to, tile);
    case RUNS: return put_runs(to, tile, false);
    case PALETTE_RUNS: return put_runs(to, tile, true);
  }
  return to;
}

bool zrle_tiles(struct bytes *out, const struct area *area, bool noise) {
  struct tile tile;
  for (int y = 0; y < area->height; y += SIDE)
    for (int x = 0; x < area->width; x += SIDE) {
      int width = area->width - x < SIDE ? area->width - x : SIDE;
      int height = area->height - y < SIDE ? area->height - y : SIDE;
      load(&tile, area, x, y, width, height);
      uint8_t *to = bytes_room(out, (size_t)width * (size_t)height * 3 + 1);
      if (!to) return false;
      uint8_t *end = noise ? put_raw(to, &tile) : put_tile(to, &tile);
      out->size += (size_t)(end - to);
    }
  return true;
}
