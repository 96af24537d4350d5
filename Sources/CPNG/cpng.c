#include "cpng.h"

#include <png.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What outlives a longjmp: it is passed by address, so no local of the jumping frame changes.
struct writer {
  uint8_t *bytes;
  size_t size, capacity;
  uint8_t *row;
  char *message;
};

static void fail(png_structp png, png_const_charp text) {
  struct writer *writer = png_get_error_ptr(png);
  snprintf(writer->message, CPNG_MESSAGE_SIZE, "%s", text);
  png_longjmp(png, 1);
}

static void ignore(png_structp png, png_const_charp text) {
  (void)png;
  (void)text;
}

static void append(png_structp png, png_bytep data, png_size_t count) {
  struct writer *writer = png_get_io_ptr(png);
  if (writer->size + count > writer->capacity) {
    size_t capacity = writer->capacity * 2 + count + 65536;
    uint8_t *bytes = realloc(writer->bytes, capacity);
    if (!bytes) png_error(png, "out of memory");
    writer->bytes = bytes;
    writer->capacity = capacity;
  }
  memcpy(writer->bytes + writer->size, data, count);
  writer->size += count;
}

static void flush(png_structp png) { (void)png; }

// The colours of a picture that has at most 256, found by open addressing.
enum { SLOTS = 1024 };
struct palette {
  uint32_t key[SLOTS];    // colour | 1 << 24, or 0 where empty
  uint8_t index[SLOTS];
  png_color colors[256];
  int count;
};

static uint32_t slot_of(const struct palette *palette, uint32_t color) {
  uint32_t slot = (color * 0x9E3779B1u) >> 22;
  while (palette->key[slot] && palette->key[slot] != (color | 1u << 24)) slot = (slot + 1) % SLOTS;
  return slot;
}

static bool collect(struct palette *palette, const uint32_t *pixels, size_t count) {
  uint32_t last = ~0u;
  for (size_t i = 0; i < count; i++) {
    uint32_t color = pixels[i] & 0xFFFFFF;
    if (color == last) continue;
    last = color;
    uint32_t slot = slot_of(palette, color);
    if (palette->key[slot]) continue;
    if (palette->count == 256) return false;
    palette->key[slot] = color | 1u << 24;
    palette->index[slot] = (uint8_t)palette->count;
    palette->colors[palette->count++] =
        (png_color){(uint8_t)(color >> 16), (uint8_t)(color >> 8), (uint8_t)color};
  }
  return true;
}

static void pack_indices(uint8_t *row, const struct palette *palette, const uint32_t *pixels,
                         int width, int bits) {
  uint32_t last = ~0u;
  uint8_t index = 0;
  memset(row, 0, ((size_t)width * (size_t)bits + 7) / 8);
  for (int x = 0; x < width; x++) {
    uint32_t color = pixels[x] & 0xFFFFFF;
    if (color != last) index = palette->index[slot_of(palette, color)];
    last = color;
    int bit = x * bits;
    row[bit >> 3] |= (uint8_t)(index << (8 - bits - (bit & 7)));
  }
}

static void pack_rgb(uint8_t *row, const uint32_t *pixels, int width) {
  for (int x = 0; x < width; x++) {
    *row++ = (uint8_t)(pixels[x] >> 16);
    *row++ = (uint8_t)(pixels[x] >> 8);
    *row++ = (uint8_t)pixels[x];
  }
}

static void write_all(png_structp png, png_infop info, struct writer *writer,
                      const struct palette *palette, const uint32_t *pixels, int width, int height,
                      int level) {
  int colors = palette ? palette->count : 256;
  int bits = colors <= 2 ? 1 : colors <= 4 ? 2 : colors <= 16 ? 4 : 8;
  png_set_write_fn(png, writer, append, flush);
  png_set_compression_level(png, level);
  // A screen is flat areas and repeated glyphs: without a filter zlib finds them sooner.
  png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_NONE);
  png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, bits,
               palette ? PNG_COLOR_TYPE_PALETTE : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (palette) png_set_PLTE(png, info, palette->colors, palette->count);
  png_write_info(png, info);
  for (int y = 0; y < height; y++) {
    const uint32_t *line = pixels + (size_t)y * (size_t)width;
    if (palette)
      pack_indices(writer->row, palette, line, width, bits);
    else
      pack_rgb(writer->row, line, width);
    png_write_row(png, writer->row);
  }
  png_write_end(png, info);
}

static bool encode(struct writer *writer, const struct palette *palette, const uint32_t *pixels,
                   int width, int height, int level) {
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, writer, fail, ignore);
  if (!png) return false;
  png_infop volatile info = png_create_info_struct(png);
  volatile bool done = false;
  if (info && setjmp(png_jmpbuf(png)) == 0) {
    write_all(png, info, writer, palette, pixels, width, height, level);
    done = true;
  }
  png_infop made = info;
  png_destroy_write_struct(&png, &made);
  return done;
}

uint8_t *cpng_encode(const uint32_t *pixels, int width, int height, int level, size_t *size,
                     char message[CPNG_MESSAGE_SIZE]) {
  struct writer writer = {.message = message};
  snprintf(message, CPNG_MESSAGE_SIZE, "out of memory");
  struct palette *palette = calloc(1, sizeof *palette);
  writer.row = malloc((size_t)width * 3);
  bool done = false;
  if (palette && writer.row) {
    bool few = collect(palette, pixels, (size_t)width * (size_t)height);
    done = encode(&writer, few ? palette : NULL, pixels, width, height, level);
  }
  free(palette);
  free(writer.row);
  if (!done) {
    free(writer.bytes);
    return NULL;
  }
  *size = writer.size;
  return writer.bytes;
}

uint32_t *cpng_decode(const uint8_t *data, size_t size, uint32_t limit, int *width, int *height,
                      char message[CPNG_MESSAGE_SIZE]) {
  png_image image = {.version = PNG_IMAGE_VERSION};
  uint32_t *pixels = NULL;
  snprintf(message, CPNG_MESSAGE_SIZE, "out of memory");
  if (!png_image_begin_read_from_memory(&image, data, size)) goto failed;
  if (image.width > limit || image.height > limit) {
    snprintf(message, CPNG_MESSAGE_SIZE, "%u x %u pixels are too many", image.width, image.height);
    png_image_free(&image);
    return NULL;
  }
  image.format = PNG_FORMAT_BGRA;
  pixels = malloc((size_t)image.width * image.height * 4);
  if (!pixels) {
    png_image_free(&image);
    return NULL;
  }
  if (!png_image_finish_read(&image, NULL, pixels, 0, NULL)) goto failed;
  size_t count = (size_t)image.width * image.height;
  for (size_t i = 0; i < count; i++) {
    uint32_t alpha = pixels[i] >> 24;
    if (alpha == 255) {
      pixels[i] &= 0xFFFFFF;
    } else {
      uint32_t outer = ((pixels[i] & 0xFF00FF) * alpha / 255) & 0xFF00FF;
      uint32_t green = ((pixels[i] >> 8 & 0xFF) * alpha / 255) << 8;
      pixels[i] = outer | green;
    }
  }
  *width = (int)image.width;
  *height = (int)image.height;
  return pixels;
failed:
  if (image.message[0]) snprintf(message, CPNG_MESSAGE_SIZE, "%s", image.message);
  png_image_free(&image);
  free(pixels);
  return NULL;
}
