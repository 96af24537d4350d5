#include "cpng.h"

#include <png.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

// What outlives a longjmp: it is passed by address, so no local of the jumping frame changes.
struct writer {
  uint8_t *bytes;
  size_t size, capacity;
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

// How a picture's rows lie in the file. None is filtered: a screen is flat areas and repeated glyphs,
// which zlib finds sooner that way.
struct layout {
  const uint32_t *pixels;
  const struct palette *palette;  // NULL for 8-bit RGB
  int width, height, bits;
  size_t row;  // bytes of a row, with the one before it that names the filter
};

// Rows that one thread packs and compresses. A piece ends at a byte boundary and refers to nothing
// before it, so that all of them, one after the other, are one zlib stream.
enum { MOST_PIECES = 4, PIECE_LEAST = 1 << 20, STRIP = 1 << 16 };
struct piece {
  const struct layout *layout;
  int first, end, level;
  bool last;
  struct bytes {
    uint8_t *data;
    size_t size, capacity;
  } packed;
  uint32_t sum;  // Adler-32 of the rows (RFC 1950), of which there are `count` bytes
  size_t count;
  bool good;
};

static void pack_row(const struct layout *layout, int y, uint8_t *to) {
  const uint32_t *line = layout->pixels + (size_t)y * (size_t)layout->width;
  *to++ = PNG_FILTER_VALUE_NONE;
  if (layout->palette)
    pack_indices(to, layout->palette, line, layout->width, layout->bits);
  else
    pack_rgb(to, line, layout->width);
}

static bool deflate_some(z_stream *z, struct bytes *out, int flush) {
  do {
    if (out->capacity - out->size < STRIP) {
      size_t capacity = out->capacity * 2 + STRIP;
      uint8_t *data = realloc(out->data, capacity);
      if (!data) return false;
      out->data = data;
      out->capacity = capacity;
    }
    size_t room = out->capacity - out->size;
    z->next_out = out->data + out->size;
    z->avail_out = (uInt)room;
    if (deflate(z, flush) == Z_STREAM_ERROR) return false;
    out->size += room - z->avail_out;
  } while (z->avail_out == 0);
  return true;
}

static void *compress_piece(void *context) {
  struct piece *piece = context;
  size_t row = piece->layout->row;
  int together = row < STRIP ? (int)(STRIP / row) : 1;
  uint8_t *rows = malloc(row * (size_t)together);
  z_stream z = {0};
  if (!rows || deflateInit2(&z, piece->level, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY) != Z_OK) {
    free(rows);
    return NULL;
  }
  piece->sum = (uint32_t)adler32(0, NULL, 0);
  piece->good = true;
  for (int y = piece->first; piece->good && y < piece->end;) {
    int count = 0;
    for (; count < together && y < piece->end; count++, y++)
      pack_row(piece->layout, y, rows + row * (size_t)count);
    z.next_in = rows;
    z.avail_in = (uInt)(row * (size_t)count);
    piece->sum = (uint32_t)adler32(piece->sum, rows, z.avail_in);
    piece->count += z.avail_in;
    int flush = y < piece->end ? Z_NO_FLUSH : piece->last ? Z_FINISH : Z_SYNC_FLUSH;
    piece->good = deflate_some(&z, &piece->packed, flush);
  }
  deflateEnd(&z);
  free(rows);
  return NULL;
}

static int cut(struct piece *pieces, const struct layout *layout, int level) {
  long processors = sysconf(_SC_NPROCESSORS_ONLN);
  size_t wanted = layout->row * (size_t)layout->height / PIECE_LEAST + 1;
  if (processors > 0 && wanted > (size_t)processors) wanted = (size_t)processors;
  int count = wanted < MOST_PIECES ? (int)wanted : MOST_PIECES;
  for (int i = 0; i < count; i++)
    pieces[i] = (struct piece){
        .layout = layout,
        .first = (int)((long)layout->height * i / count),
        .end = (int)((long)layout->height * (i + 1) / count),
        .level = level,
        .last = i + 1 == count,
    };
  return count;
}

static bool compress_all(struct piece *pieces, int count) {
  pthread_t threads[MOST_PIECES];
  bool started[MOST_PIECES] = {false};
  for (int i = 1; i < count; i++)
    started[i] = pthread_create(&threads[i], NULL, compress_piece, &pieces[i]) == 0;
  for (int i = 0; i < count; i++)
    if (!started[i]) compress_piece(&pieces[i]);
  bool good = true;
  for (int i = 0; i < count; i++) {
    if (started[i]) pthread_join(threads[i], NULL);
    good = good && pieces[i].good;
  }
  return good;
}

static void write_image(png_structp png, const struct piece *pieces, int count) {
  static const uint8_t head[2] = {0x78, 0x01};  // deflate, a window of 32 KiB (RFC 1950, 2.2)
  uint32_t sum = 1;
  for (int i = 0; i < count; i++) {
    bool last = i + 1 == count;
    sum = (uint32_t)adler32_combine(sum, pieces[i].sum, (long)pieces[i].count);
    uint8_t tail[4] = {(uint8_t)(sum >> 24), (uint8_t)(sum >> 16), (uint8_t)(sum >> 8), (uint8_t)sum};
    png_write_chunk_start(png, (png_const_bytep) "IDAT",
                          (png_uint_32)(pieces[i].packed.size + (i == 0 ? sizeof head : 0) +
                                        (last ? sizeof tail : 0)));
    if (i == 0) png_write_chunk_data(png, head, sizeof head);
    png_write_chunk_data(png, pieces[i].packed.data, pieces[i].packed.size);
    if (last) png_write_chunk_data(png, tail, sizeof tail);
    png_write_chunk_end(png);
  }
  png_write_chunk(png, (png_const_bytep) "IEND", NULL, 0);
}

// Writes the file around the compressed rows.
static bool write_file(struct writer *writer, const struct layout *layout,
                       const struct piece *pieces, int count) {
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, writer, fail, ignore);
  if (!png) return false;
  png_infop volatile info = png_create_info_struct(png);
  volatile bool done = false;
  if (info && setjmp(png_jmpbuf(png)) == 0) {
    const struct palette *palette = layout->palette;
    png_set_write_fn(png, writer, append, flush);
    png_set_IHDR(png, info, (png_uint_32)layout->width, (png_uint_32)layout->height, layout->bits,
                 palette ? PNG_COLOR_TYPE_PALETTE : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (palette) png_set_PLTE(png, info, palette->colors, palette->count);
    png_write_info(png, info);
    write_image(png, pieces, count);
    done = true;
  }
  png_infop made = info;
  png_destroy_write_struct(&png, &made);
  return done;
}

static bool encode(struct writer *writer, const struct palette *palette, const uint32_t *pixels,
                   int width, int height, int level) {
  int colors = palette ? palette->count : 256;
  int bits = colors <= 2 ? 1 : colors <= 4 ? 2 : colors <= 16 ? 4 : 8;
  size_t row = palette ? ((size_t)width * (size_t)bits + 7) / 8 : (size_t)width * 3;
  struct layout layout = {pixels, palette, width, height, bits, row + 1};
  struct piece pieces[MOST_PIECES];
  int count = cut(pieces, &layout, level);
  bool done = compress_all(pieces, count) && write_file(writer, &layout, pieces, count);
  for (int i = 0; i < count; i++) free(pieces[i].packed.data);
  return done;
}

uint8_t *cpng_encode(const uint32_t *pixels, int width, int height, int level, size_t *size,
                     char message[CPNG_MESSAGE_SIZE]) {
  struct writer writer = {.message = message};
  snprintf(message, CPNG_MESSAGE_SIZE, "out of memory");
  struct palette *palette = calloc(1, sizeof *palette);
  bool done = false;
  if (palette) {
    bool few = collect(palette, pixels, (size_t)width * (size_t)height);
    done = encode(&writer, few ? palette : NULL, pixels, width, height, level);
  }
  free(palette);
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
